#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# certs.sh DIR: throw-away certificates for tests. ca signs server (127.0.0.1, localhost), misnamed (another name),
# client (CN tester); other-ca signs other-client. Each is DIR/NAME.crt with DIR/NAME.key.
# certs.sh DIR NAME CN SECONDS: one more of ca's, for 127.0.0.1 and localhost, which ends after so many seconds.
# certs.sh DIR NAME CN FROM UNTIL: the same, valid between two times as YYYYMMDDhhmmssZ.
set -eu

cd "$1"
umask 077

authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
		-keyout "$1.key" -out "$1.crt" 2>/dev/null
}

# leaf NAME CA CN SAN DAYS
leaf() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$3" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$4" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days "$5" -extfile "$1.ext" \
		-out "$1.crt" 2>/dev/null
	rm "$1.csr" "$1.ext"
}

# dated NAME CN FROM UNTIL
dated() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' >"$1.ext"
	printf '[ca]\ndefault_ca=d\n[d]\ndatabase=ca.index\nnew_certs_dir=.\nrand_serial=yes\nunique_subject=no\n' >ca.cnf
	printf 'default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' >>ca.cnf
	: >ca.index
	openssl ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -in "$1.csr" -extfile "$1.ext" -out "$1.crt" \
		-startdate "$3" -enddate "$4" 2>/dev/null
	rm "$1.csr" "$1.ext"
}

case $# in
4)
	dated "$2" "$3" "$(date -u +%Y%m%d%H%M%SZ)" "$(date -u -d "$4 seconds" +%Y%m%d%H%M%SZ)"
	exit
	;;
5)
	dated "$2" "$3" "$4" "$5"
	exit
	;;
esac
authority ca
authority other-ca
leaf server ca server IP:127.0.0.1,DNS:localhost 2
leaf misnamed ca misnamed DNS:elsewhere.example 2
leaf client ca tester DNS:tester 2
leaf other-client other-ca tester DNS:tester 2
