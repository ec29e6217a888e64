#!/bin/sh
# What an administrator would write instead of the reconciler: an inotifywait loop around mv
# and ln -s, for configs only. Names are missing for a moment, and what is written in between
# two commands is lost.
set -u
cd "$1/etc/libvirt/qemu" || exit 1
inotifywait --quiet --monitor --event moved_to --format %f . | while read -r file; do
    case $file in *.xml) ;; *) continue ;; esac
    [ ! -L "$file" ] || continue
    uuid=$(sed -n 's|.*<uuid>\(.*\)</uuid>.*|\1|p' "$file" | head -n 1)
    mv "$file" "by-uuid/$uuid.xml" && ln -s "by-uuid/$uuid.xml" "$file"
done
