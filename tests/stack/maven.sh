# maven.sh - sourced: files from Maven Central (or the mirror of the user's Maven settings).
#   maven_copy DIR GROUP:ARTIFACT:VERSION...   these jars and what they need at run time, into DIR

maven_copy() {
    local dir=$1 gav
    shift
    rm -rf "$dir"
    mkdir -p "$dir"
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>millrace</groupId><artifactId>stack</artifactId><version>1</version><dependencies>'
        for gav; do
            echo "$gav" | sed 's|\(.*\):\(.*\):\(.*\)|<dependency><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version></dependency>|'
        done
        echo '</dependencies></project>'
    } > "$dir/pom.xml"
    mvn -q -B -f "$dir/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$dir" >&2 || die "mvn failed: $*"
    rm -f "$dir/pom.xml"
}

# The server inside such a jar: unpacked into TREE, daemon is its program.
maven_mysqld() { # GROUP:ARTIFACT:VERSION
    local artifact=${1#*:}
    [ -x "$(daemon)" ] && return
    maven_copy "$HOME_DIR/jar" "$1"
    rm -rf "$TREE"
    mkdir -p "$TREE/lib/plugin"
    python3 -c 'import sys, tarfile, zipfile
archive = zipfile.ZipFile(sys.argv[1]).open("mysql-Linux-amd64.tar.gz")
tarfile.open(fileobj=archive, mode="r|gz").extractall(sys.argv[2])' "$HOME_DIR/jar/${artifact%:*}-${artifact#*:}.jar" "$TREE"
    rm -rf "$HOME_DIR/jar"
    chmod a+x "$(daemon)"
    "$(daemon)" --no-defaults --version >&2 || die "mysqld does not run (it needs libaio1 and libnuma1)"
}
