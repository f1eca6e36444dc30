/* SPDX-License-Identifier: Apache-2.0 */
/* wherry completion: a script for a shell. Each only hands the words so far to `wherry completion words` and shows what that
 * prints, so that what is completed cannot differ between shells, and a new option needs no new script. */
#include "cmd.h"

#include <string.h>

static const char bash[] =
	"# wherry completion bash: source <(wherry completion bash)\n"
	"_wherry() {\n"
	"	local rest=$COMP_LINE words=() trimmed line cut i\n"
	"	# bash parts words at '=' and ':' too; what has no blank in between is one\n"
	"	for ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"		trimmed=${rest#\"${rest%%[![:space:]]*}\"}\n"
	"		if ((i > 0)) && [[ $trimmed == \"$rest\" ]]; then\n"
	"			words[${#words[@]} - 1]+=${COMP_WORDS[i]}\n"
	"		else\n"
	"			words+=(\"${COMP_WORDS[i]}\")\n"
	"		fi\n"
	"		rest=${trimmed#\"${COMP_WORDS[i]}\"}\n"
	"	done\n"
	"	words=(\"${words[@]//[\\\"\\'\\\\]/}\")\n"
	"	local current=${words[${#words[@]} - 1]}\n"
	"	cut=${current%\"${current##*[=:]}\"}\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r line; do\n"
	"		case $line in\n"
	"		:files | :folders)\n"
	"			local kind=-f\n"
	"			[[ $line == :files ]] || kind=-d\n"
	"			compopt -o filenames 2>/dev/null\n"
	"			while IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen $kind -- \"${current#\"$cut\"}\")\n"
	"			;;\n"
	"		*)\n"
	"			line=${line%%$'\\t'*}\n"
	"			[[ $line != *= ]] || compopt -o nospace 2>/dev/null\n"
	"			COMPREPLY+=(\"${line#\"$cut\"}\")\n"
	"			;;\n"
	"		esac\n"
	"	done < <(\"${words[0]/#\\~/$HOME}\" completion words -- \"${words[@]}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _wherry wherry\n";

static const char zsh[] =
	"#compdef wherry\n"
	"# wherry completion zsh: source <(wherry completion zsh), or keep it as _wherry in a folder of $fpath\n"
	"_wherry() {\n"
	"	local line word; local -a so_far plain open\n"
	"	so_far=(\"${(@Q)words[1,CURRENT-1]}\" \"${(Q)PREFIX}\")\n"
	"	for line in \"${(@f)$(\"${so_far[1]/#\\~/$HOME}\" completion words -- \"${so_far[@]}\" 2>/dev/null)}\"; do\n"
	"		word=${line%%$'\\t'*}\n"
	"		case $line in\n"
	"		'') ;;\n"
	"		:files) _files ;;\n"
	"		:folders) _files -/ ;;\n"
	"		*=|*=$'\\t'*) open+=(\"${word//:/\\\\:}${${line#$word}/$'\\t'/:}\") ;;\n"
	"		*) plain+=(\"${word//:/\\\\:}${${line#$word}/$'\\t'/:}\") ;;\n"
	"		esac\n"
	"	done\n"
	"	(( ! $#open )) || _describe -t values 'wherry' open -S ''\n"
	"	(( ! $#plain )) || _describe -t values 'wherry' plain\n"
	"}\n"
	"if [[ $funcstack[1] == _wherry ]]; then\n"
	"	_wherry \"$@\"\n"
	"else\n"
	"	compdef _wherry wherry\n"
	"fi\n";

static const char fish[] =
	"# wherry completion fish: wherry completion fish | source\n"
	"function __wherry_complete\n"
	"	set -l words (commandline -opc)\n"
	"	set -l current (commandline -ct)\n"
	"	set -l program (string replace -r '^~' -- $HOME $words[1])\n"
	"	for line in ($program completion words -- $words \"$current\" 2>/dev/null)\n"
	"		switch $line\n"
	"			case ':files'\n"
	"				__fish_complete_path \"$current\"\n"
	"			case ':folders'\n"
	"				__fish_complete_directories \"$current\"\n"
	"			case '*'\n"
	"				echo $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c wherry -f -a '(__wherry_complete)'\n";

int
cmd_completion(struct front *f, struct err *err)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	const char *const shell = f->args[0];

	if (strcmp(shell, "words") == 0)
		return front_candidates(f);
	for (size_t i = 0; i < countof(scripts) && f->nargs == 1; i++)
		if (strcmp(scripts[i].shell, shell) == 0) {
			struct buf b = BUF_INIT(0);
			int ret;

			buf_puts(&b, scripts[i].script);
			ret = front_print(&b, err);
			buf_done(&b);
			return ret;
		}
	err_set(err, ERR_USAGE, "'completion' needs one of bash, zsh and fish, not '%s'", f->args[f->nargs - 1]);
	return err_next(err, "wherry help completion");
}
