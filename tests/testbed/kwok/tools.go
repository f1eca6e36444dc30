// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package testbed names the program that tests/testbed/build builds from this module.
package testbed

import _ "sigs.k8s.io/kwok/cmd/kwok"
