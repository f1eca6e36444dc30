/* SPDX-License-Identifier: Apache-2.0 */
/* wherry version: ours and the libraries'. libcurl is loaded when it is first needed, so its version is that which we were built
 * with. */
#include "cmd.h"

#include <curl/curl.h>
#include <json-c/json_c_version.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <yaml.h>

int
cmd_version(struct front *f, struct err *err)
{
	const struct pair libraries[] = {
		{ "curl", value_str(LIBCURL_VERSION) },
		{ "json-c", value_str(json_c_version()) },
		{ "libyaml", value_str(yaml_get_version_string()) },
		{ "lua", value_str(LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE) },
		{ "openssl", value_str(OpenSSL_version(OPENSSL_VERSION_STRING)) },
	};
	struct buf b = BUF_INIT(0);
	int ret;

	if (front_json(f)) {
		const struct pair all[] = { { "wherry", value_str(WHERRY_VERSION) },
					    { "libraries", value_map(libraries, countof(libraries)) } };
		const struct value v = value_map(all, countof(all));

		return front_print_json(&v, err);
	}
	buf_puts(&b, "wherry " WHERRY_VERSION "\n");
	for (size_t i = 0; i < countof(libraries); i++)
		buf_printf(&b, "  %-8s %s\n", libraries[i].key, libraries[i].v.s);
	ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}
