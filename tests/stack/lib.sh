# lib.sh - sourced by the scripts of this folder: messages, the cache folder, processes.
#
# Each server script has the same verbs:
#   get                            download and prepare in the cache folder (idempotent, locked)
#   start DATADIR PORT [OPTION..]  make DATADIR if new, start, wait until ready, print "pid N ready_ms N"
#   stop DATADIR | kill9 DATADIR   clean shutdown | crash; both wait for the end
#   status DATADIR                 print "up PID" or "down" (exit 1)
#   tool PROGRAM [ARG..]           a client program of the same release
# DATADIR/log is the server's log, DATADIR/pid its process id. Everything listens on 127.0.0.1.

CACHE=${MILLRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace}
READY_SECONDS=${READY_SECONDS:-90}

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

serves() { grep -zqF -- "$2/" "/proc/$1/cmdline" 2>/dev/null; } # PID DATADIR

# The process that serves DATADIR: its id is on file and its command line names the folder (a reused id does not,
# nor does a zombie).
pid_of() { # DATADIR
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] && serves "$pid" "$1" && echo "$pid"
}

# A process that runs is known by its state alone: its command line reads empty while the kernel replaces its program
# (exec) and from the first moment of its end, when it still holds its files and ports.
runs() { # PID
    local stat
    read -r stat 2> /dev/null < "/proc/$1/stat" && [[ ${stat##*) } != [ZX]* ]]
}

# Only one process prepares a server; the others wait and find it done.
with_lock() { # NAME COMMAND...
    local name=$1
    shift
    mkdir -p "$CACHE"
    (flock 9 && "$@" 9>&-) 9> "$CACHE/$name.lock"
}

wait_gone() { # PID SECONDS
    local n=$(($2 * 20))
    while runs "$1"; do
        [ $((n -= 1)) -gt 0 ] || return 1
        sleep 0.05
    done
}

still_starting() { # DATADIR
    runs "$(cat "$1/pid")" || { tail -15 "$1/log" >&2; die "the server ended"; }
}

# Waits until the part of DATADIR/log behind OFFSET matches PATTERN. No pipe: grep ends at its first match, and with pipefail
# a tail that had more to say would be the failure of a match.
wait_log() { # DATADIR OFFSET PATTERN
    local n=$((READY_SECONDS * 20))
    until grep -q -- "$3" <(tail -c +$(($2 + 1)) "$1/log"); do
        still_starting "$1"
        [ $((n -= 1)) -gt 0 ] || { tail -15 "$1/log" >&2; die "not ready in $READY_SECONDS s"; }
        sleep 0.05
    done
}

# Runs a server in a session of its own, nothing of ours open.
launch() { # DATADIR COMMAND...
    local dir=$1
    shift
    setsid "$@" >> "$dir/log" 2>&1 < /dev/null 9>&- &
    echo $! > "$dir/pid"
    # until its exec it still has our own command line
    until serves $! "$dir" || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
}

absolute() { mkdir -p "$1" && (cd "$1" && pwd); }

server_stop() { # DATADIR SIGNAL SECONDS
    local pid
    pid=$(pid_of "$1") || { rm -f "$1/pid"; return 0; }
    kill -"$2" "$pid" 2>/dev/null || true
    if ! wait_gone "$pid" "$3"; then
        say "pid $pid did not end in $3 s: SIGKILL"
        kill -KILL "$pid" 2>/dev/null || true
        wait_gone "$pid" 30 || die "pid $pid is still there"
    fi
    rm -f "$1/pid"
}

# The verbs that are alike; each script defines server_get, server_start and server_tool.
server_main() { # VERB ARGS...
    local verb=${1:-} dir pid
    [ $# -eq 0 ] || shift
    case $verb in
    get) with_lock "$NAME" server_get ;;
    start)
        [ $# -ge 2 ] || die "start DATADIR PORT [OPTION..]"
        with_lock "$NAME" server_get
        dir=$(absolute "$1")
        ! pid=$(pid_of "$dir") || die "already running: pid $pid"
        server_start "$dir" "${@:2}"
        ;;
    stop | kill9 | status)
        [ $# -eq 1 ] || die "$verb DATADIR"
        [ -d "$1" ] || { [ "$verb" != status ] || { echo down; exit 1; }; exit 0; }
        dir=$(absolute "$1")
        case $verb in
        stop) server_stop "$dir" "${STOP_SIGNAL:-TERM}" 60 ;;
        kill9) server_stop "$dir" KILL 30 ;;
        status) if pid=$(pid_of "$dir"); then echo "up $pid"; else echo down; exit 1; fi ;;
        esac
        ;;
    tool) server_tool "$@" ;;
    *)
        echo "usage: ${0##*/} get | start DATADIR PORT [OPTION..] | stop DATADIR | kill9 DATADIR |" \
            "status DATADIR | tool PROGRAM [ARG..]" >&2
        exit 2
        ;;
    esac
}
