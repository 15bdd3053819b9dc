/**
 * For bash only, without the bash-completion package. The library's own script needs that package, and evaluates the
 * text typed so far: Tab after `$(…)` would run it.
 */
export const bashScript = `# bash completion for nearmiss
_nearmiss() {
    local line=\${COMP_LINE:0:COMP_POINT} word
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local count=\${#words[@]}
    local current=\${words[count - 1]}
    COMPREPLY=()
    case \${words[count - 2]} in
        import | backup | restore | -f | --file | --token-file | --ca | --config | --db)
            compopt -o default
            return ;;
    esac
    while IFS=$'\\t' read -r word _; do
        [[ $word == :* || $word != "$current"* ]] || COMPREPLY+=("$word")
    done < <("\${words[0]}" complete -- "\${words[@]:1}" 2> /dev/null)
}
complete -F _nearmiss nearmiss
`;
