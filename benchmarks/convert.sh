#!/bin/sh
# What an administrator would write instead of uuidfs: mv and ln -s, file by file. It has
# none of uuidfs's promises: names are missing for a moment, nothing is locked or synced.
set -eu
root=$1
config=$root/etc/libvirt/qemu
log=$root/var/log/libvirt/qemu
lib=$root/var/lib/libvirt
mkdir -p "$config/by-uuid" "$log/by-uuid" "$lib/by-uuid/snapshot"
for file in "$config"/*.xml; do
    [ ! -L "$file" ] || continue
    name=$(basename "$file" .xml)
    uuid=$(sed -n 's|.*<uuid>\(.*\)</uuid>.*|\1|p' "$file" | head -n 1)
    mv "$file" "$config/by-uuid/$uuid.xml"
    ln -s "by-uuid/$uuid.xml" "$file"
    for old in "$log/$name.log" "$log/$name.log".*; do
        [ -f "$old" ] || continue
        suffix=${old#"$log/$name"}
        mv "$old" "$log/by-uuid/$uuid$suffix"
        ln -s "by-uuid/$uuid$suffix" "$old"
    done
    [ -d "$lib/qemu/snapshot/$name" ] || continue
    mkdir -p "$lib/by-uuid/snapshot/$uuid"
    for old in "$lib/qemu/snapshot/$name"/*.xml; do
        entry=$(basename "$old")
        mv "$old" "$lib/by-uuid/snapshot/$uuid/$entry"
        ln -s "../../../by-uuid/snapshot/$uuid/$entry" "$old"
    done
done
