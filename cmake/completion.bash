# bash completion of @NAME@, written from its --help and --list when it was installed.
@FUNCTION@() {
  @DATA@
  # The word as typed: bash's own words also end at ':' and '='.
  local line="${COMP_LINE:0:COMP_POINT}" option="" before="" found=() i
  local word="${line##*[[:space:]]}"
  local rest="${line%"$word"}"
  rest="${rest%"${rest##*[![:space:]]}"}"
  option="${rest##*[[:space:]]}"
  if [[ $word == --*=* ]]; then
    option="${word%%=*}"
    before="$option="
    word="${word#*=}"
  fi

  local wanted="${values[$option]-}"
  if [[ -z $option || ! -v "values[$option]" ]]; then
    if [[ $word == -* ]]; then wanted="$options"
    elif [[ $positional == yes ]]; then wanted=@files
    fi
  elif [[ $wanted == @files ]]; then :
  elif [[ $wanted == @* ]]; then
    # A spec: NAME:KEY=VALUE,KEY=VALUE, joined by '+'.
    local topic="${wanted#@}" spec="${word##*+}"
    before+="${word%"$spec"}"
    word="$spec"
    wanted="${values[$topic]}"
    if [[ $spec == *:* ]]; then
      local name="${spec%%:*}" pair="${spec#*:}"
      pair="${pair##*,}"
      before+="${spec%"$pair"}"
      word="$pair"
      wanted=""
      if [[ $pair == *=* ]]; then
        local key="${pair%%=*}"
        before+="$key="
        word="${pair#*=}"
        wanted="${words["$topic $name $key"]-}"
        [[ $key == path ]] && wanted=@files
      else
        for i in ${keys["$topic $name"]-}; do wanted+="$i= "; done
        compopt -o nospace 2>/dev/null
      fi
    fi
  fi

  if [[ $wanted == @files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t found < <(compgen -f -- "$word")
  else
    mapfile -t found < <(compgen -W "$wanted" -- "$word")
  fi
  # What bash replaces begins after the last sign of the word that it breaks words at.
  local typed="$before$word" kept=""
  for ((i = ${#typed} - 1; i >= 0; --i)); do
    if [[ $COMP_WORDBREAKS == *"${typed:i:1}"* ]]; then
      kept="${typed:0:i+1}"
      break
    fi
  done
  COMPREPLY=()
  for i in "${found[@]}"; do
    i="$before$i"
    COMPREPLY+=("${i#"$kept"}")
  done
}
complete -F @FUNCTION@ @NAME@
