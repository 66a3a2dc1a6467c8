# mysqlfamily.sh - sourced by the mysql and mariadb scripts: how a MySQL-like server is prepared and started.
#
# The script sets NAME, VERSION (a change rebuilds) and HOME_DIR, and defines fetch (files into HOME_DIR), initialize
# DATA (system tables), daemon (the program), base_options, server_options. `get` prepares a template data folder with the
# accounts, without binlog; `start` copies it, so a new server has its own uuid and an empty binlog.
#   test/test  all rights        repl/repl  REPLICATION SLAVE, REPLICATION CLIENT, SELECT on *.*
# Options given to `start` come last and win. Data DATADIR/data, socket DATADIR/sock (root without password).

ACCOUNTS="CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY 'test';
GRANT ALL ON *.* TO test@'%' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS repl@'%' IDENTIFIED BY 'repl';
GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO repl@'%';"

as_root() { [ "$(id -u)" != 0 ] || echo --user=root; }

server_run() { # DIR PORT OPTION...
    local dir=$1 port=$2 offset
    shift 2
    touch "$dir/log"
    offset=$(stat -c %s "$dir/log")
    rm -f "$dir/sock" "$dir/sock.lock"
    launch "$dir" "$(daemon)" --no-defaults $(as_root) $(base_options) --datadir="$dir/data" \
        --port="$port" --bind-address=127.0.0.1 --socket="$dir/sock" --pid-file="$dir/server.pid" \
        --server-id="$port" "$@"
    wait_log "$dir" "$offset" "port: $port "
}

make_template() {
    local work=$HOME_DIR/template.new
    rm -rf "$work" "$HOME_DIR/template"
    mkdir -p "$work"
    initialize "$work/data" > "$work/init.log" 2>&1 || { tail -5 "$work/init.log" >&2; die "init failed"; }
    echo "$ACCOUNTS" | tr '\n' ' ' | sed 's/; */;\n/g' > "$work/accounts.sql"
    server_run "$work" 0 --skip-networking --skip-log-bin --init-file="$work/accounts.sql" > /dev/null
    server_stop "$work" TERM 60
    rm -f "$work"/data/auto.cnf "$work"/data/binlog.*
    mv "$work/data" "$HOME_DIR/template"
    rm -rf "$work"
}

server_get() {
    [ "$(cat "$HOME_DIR/.done" 2>/dev/null)" != "$VERSION" ] || return 0
    say "preparing in $HOME_DIR"
    rm -f "$HOME_DIR/.done"
    mkdir -p "$HOME_DIR"
    fetch
    make_template
    echo "$VERSION" > "$HOME_DIR/.done"
}

server_start() { # DIR PORT OPTION...
    local begin
    begin=$(now_ms)
    if [ ! -d "$1/data" ]; then
        rm -rf "$1/data.new"
        cp -r --sparse=always "$HOME_DIR/template" "$1/data.new"
        mv "$1/data.new" "$1/data"
    fi
    server_run "$1" "$2" --log-bin=binlog $(server_options) "${@:3}"
    echo "pid $(pid_of "$1") ready_ms $(($(now_ms) - begin))"
}
