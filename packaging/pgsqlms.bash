# Completion of the command pgsqlms for bash. What there is to complete, the program says itself: the commands of
# "pgsqlms help", the flags of "pgsqlms COMMAND --help". The actions that Pacemaker calls are not offered.

_pgsqlms() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local offered

	if [[ $COMP_CWORD -eq 1 ]]; then
		offered=$("$program" help 2>/dev/null | sed -n 's/^  pgsqlms \([a-z][a-z-]*\) .*/\1/p')
	elif [[ $previous == --output ]]; then
		offered='text json'
	elif [[ $word == -* ]]; then
		offered=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null | sed -n 's/^  \(--[a-z][a-z-]*\).*/\1/p')
	elif [[ ${COMP_WORDS[1]} == switchover || ${COMP_WORDS[1]} == explain ]]; then
		offered=$(crm_node -l 2>/dev/null | awk '{ print $2 }')
	fi
	mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$word")
}
complete -F _pgsqlms pgsqlms
