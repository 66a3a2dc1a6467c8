# debtree.sh - sourced: a private, relocated tree of Debian packages. No root, no chroot, no container.
#   debtree_get DIR SUITE PACKAGE...   PACKAGE... and every library they need, unpacked into DIR/tree
#
# apt-get with a private state and an empty package database downloads the whole closure (libc too), dpkg-deb unpacks
# it, and patchelf points every program at the tree's own loader and libraries (DT_RPATH, which plugins inherit).
# The mirror is the one of the system's apt sources; DEBIAN_MIRROR and DEBIAN_SECURITY override it.

TRIPLET=$(uname -m)-linux-gnu

debtree_mirror() { # debian | debian-security
    {
        apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>/dev/null
        sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | tr ' ' '\n'
        sed -n 's/^deb *\(\[[^]]*\]\)\{0,1\} *\([^ ]*\).*/\2/p' \
            /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null
    } | grep -E "/$1/?\$" | head -1
}

debtree_sources() { # SUITE
    local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]' mirror security
    mirror=${DEBIAN_MIRROR:-$(debtree_mirror debian)} || true
    [ -n "$mirror" ] || die "no Debian mirror in the apt sources; set DEBIAN_MIRROR"
    echo "deb $signed $mirror $1 main"
    [ "$1" != sid ] || return 0
    echo "deb $signed $mirror $1-updates main"
    security=${DEBIAN_SECURITY:-$(debtree_mirror debian-security)} || true
    [ -z "$security" ] || echo "deb $signed $security $1-security main"
}

debtree_config() { # APT_DIR
    cat << END
Dir::Etc "$1/etc"; Dir::Etc::sourcelist "$1/etc/sources.list"; Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null"; Dir::State "$1"; Dir::State::lists "$1/lists";
Dir::State::status "$1/status"; Dir::Cache "$1"; Dir::Cache::archives "$1/debs";
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
APT::Architecture "$(dpkg --print-architecture)"; APT::Install-Recommends "false"; APT::Sandbox::User "";
Debug::NoLocking "true"; Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false";
Acquire::Languages "none"; Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
END
}

debtree_unpack() { # DEBS TREE
    local part deb
    rm -rf "$2"
    # usr-merge first: some packages still ship /lib and /bin as real folders
    for part in bin sbin lib lib64; do
        mkdir -p "$2/usr/$part"
        ln -s "usr/$part" "$2/$part"
    done
    for deb in "$1"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' ||
            die "cannot unpack $deb"
    done
}

debtree_relocate() { # TREE
    local lib=$1/usr/lib/$TRIPLET loader rpath dir program patchelf
    loader=$(ls "$lib"/ld-linux-*.so.* | head -1)
    rpath=$lib:$1/usr/lib
    for dir in "$lib"/*/ "$1"/usr/lib/mysql/private/; do
        case $dir in */gconv/ | */engines-3/ | */ossl-modules/ | */audit/) continue ;; esac
        ! ls "$dir"*.so* > /dev/null 2>&1 || rpath=$rpath:${dir%/}
    done
    patchelf=$1/patchelf.run
    cp "$1/usr/bin/patchelf" "$patchelf"
    for program in "$1"/usr/bin/* "$1"/usr/sbin/*; do
        [ -f "$program" ] && [ ! -L "$program" ] || continue
        [ "$(head -c4 "$program" | tail -c3 | tr -d '\0')" = ELF ] || continue
        "$loader" --library-path "$lib" "$patchelf" --print-interpreter "$program" > /dev/null 2>&1 || continue
        "$loader" --library-path "$lib" "$patchelf" --set-interpreter "$loader" --force-rpath \
            --set-rpath "$rpath" "$program" || die "cannot relocate $program"
    done
}

debtree_get() { # DIR SUITE PACKAGE...
    local dir=$1 suite=$2 apt=$1/apt
    shift 2
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/etc/preferences.d" "$apt/etc/apt.conf.d" "$apt/debs/partial"
    : > "$apt/status"
    debtree_sources "$suite" > "$apt/etc/sources.list"
    debtree_config "$apt" > "$apt/apt.conf"
    APT_CONFIG=$apt/apt.conf apt-get -qq update >&2 || die "apt-get update failed for $suite"
    APT_CONFIG=$apt/apt.conf apt-get -y -qq -d -o Dpkg::Use-Pty=0 install "$@" patchelf > /dev/null ||
        die "download failed: $*"
    debtree_unpack "$apt/debs" "$dir/tree"
    debtree_relocate "$dir/tree"
    rm -rf "$apt"
    chmod -R a+rX "$dir/tree"
}
