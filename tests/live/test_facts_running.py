"""What libvirt does with domains that run, as docs/libvirt-facts.md says: logs, hooks, firmware."""

from tests.live.facts import Fact, holds, parametrized
from tests.live.private_host import PrivateHost

LOGS = [
    Fact(
        ("virtlogd keeps path and descriptor for the life of QEMU",),
        """
        sed -i 's/max_size.*/max_size = 2048/' /etc/libvirt/virtlogd.conf
        old=$(cat /run/virtlogd.pid) && kill "$old"
        while kill -0 "$old"; do sleep 0.1; done
        virtlogd --daemon --pid-file /run/virtlogd.pid
        mkdir $L/store && ln -s store/u.log $L/a.log
        domain a && virsh -q define a.xml && virsh -q start a
        printf '%2000s\\n' more >/proc/"$(cat /run/libvirt/qemu/a.pid)"/fd/2
        cd $L
        timeout 60 sh -c 'until find . -name "a.log.*" -type l | grep -q .; do sleep 0.1; done'
        readlink a.log.* && stat -c %F a.log
        """,
        "store/u.log\nregular file",
    ),
    Fact(
        ("Opening a dangling NAME.log with O_CREAT",),
        """
        domain a && virsh -q define a.xml
        mkdir $L/store && ln -s store/u.log $L/a.log
        virsh -q start a
        readlink $L/a.log && ls $L/store && grep -c '^-uuid' $L/store/u.log
        """,
        "store/u.log\nu.log\n1",
    ),
    Fact(
        ("A config has aliases of the user's only",),
        """
        domain a '' "<controller type='usb' model='none'/>$(disk a)"
        virsh -q define a.xml && virsh -q start a
        virsh dumpxml --inactive a | grep -c '<alias' || true
        virsh dumpxml a | grep -c "<alias name='virtio-disk0'"
        """,
        "0\n1",
    ),
    Fact(
        ("logrotate refuses symlinks",),
        """
        mkdir $L/store && echo x >$L/store/u.log && ln -s store/u.log $L/a.log
        printf '%s {\\n size 1\\n}\\n' "$L/*.log" >conf
        logrotate -d -s state conf && grep -o 'symbolic link' errors | head -1
        """,
        "symbolic link",
    ),
]

HOOK = [
    Fact(
        ("start: prepare, start, started; stop: stopped, release",),
        """
        hook 'echo "$1 $2 $3" >>/run/hook.log'
        domain a '' "$(disk a)" && virsh -q define a.xml
        virsh -q snapshot-create-as a s1 && virsh -q autostart a && virsh -q domrename a b
        virsh -q start b && virsh -q destroy b
        cat /run/hook.log
        """,
        "b prepare begin\nb start begin\nb started begin\nb stopped end\nb release end",
    ),
    Fact(
        ("Arguments NAME OPERATION SUBOPERATION EXTRA",),
        """
        hook '[ "$2" = started ] || exit 0
            (echo "$# $*" && pwd && id -u && head -c 7 && echo && env | wc -l) >/run/hook.log'
        domain a && virsh -q define a.xml && virsh -q start a
        head -4 /run/hook.log && [ "$(tail -1 /run/hook.log)" -lt 12 ] && echo small
        """,
        "4 a started begin -\n/\n0\n<domain\nsmall",
    ),
    Fact(
        ("`release end` has the reason as EXTRA",),
        """
        hook '[ "$2" != release ] || echo "$4" >/run/hook.log'
        domain a && virsh -q define a.xml && virsh -q start a && virsh -q destroy a
        cat /run/hook.log
        """,
        "destroyed",
        (10, 5),
    ),
    Fact(
        ("`prepare` comes before the log is opened",),
        """
        hook '[ "$2" != prepare ] || ls /var/log/libvirt/qemu >/run/hook.log'
        domain a && virsh -q define a.xml && virsh -q start a
        echo "at prepare: $(cat /run/hook.log)" && ls $L
        """,
        "at prepare:\na.log",
    ),
    Fact(
        ("The daemon waits without a limit; a non-zero exit",),
        """
        hook '[ "$2" != prepare ] || { sleep 3; exit 1; }'
        domain a && virsh -q define a.xml && SECONDS=0
        virsh -q start a || [ $SECONDS -ge 3 ] && echo 'waited and refused'
        virsh domstate a
        """,
        "waited and refused\nshut off",
    ),
    Fact(
        ("Output of migrate and restore replaces the XML",),
        """
        hook '[ "$2" != restore ] || echo junk'
        domain a && virsh -q define a.xml && virsh -q start a && virsh -q save a saved
        virsh -q restore saved || echo refused
        hook '[ "$2" != restore ] || sed "s/<title>.*//;s,</name>,&<title>new</title>,"'
        virsh -q restore saved && virsh dumpxml a | grep -o '<title>new'
        """,
        "refused\n<title>new",
    ),
    Fact(
        ("The first hook ever needs a reload",),
        """
        domain a && virsh -q define a.xml
        mkdir -p /etc/libvirt/hooks && cd /etc/libvirt/hooks
        printf '#!/bin/sh\necho one $2 >>/run/hook.log\n' >qemu && chmod 755 qemu
        virsh -q start a && virsh -q destroy a && ls /run/hook.log || echo 'not called'
        systemctl restart libvirtd
        virsh -q start a && grep -c one /run/hook.log && virsh -q destroy a
        printf '#!/bin/sh\necho two $2 >>/run/hook.log\n' >qemu
        virsh -q start a && grep -c two /run/hook.log
        """,
        "not called\n3\n3",
    ),
    Fact(
        ("hooks/qemu first, then executables in hooks/qemu.d",),
        """
        mkdir -p /etc/libvirt/hooks/qemu.d && cd /etc/libvirt/hooks
        for f in qemu.d/b qemu.d/a qemu qemu.d/c; do
            printf '#!/bin/sh\n[ $2 != prepare ] || echo %s >>/run/hook.log\n' $f >$f
            chmod 755 $f
        done
        chmod 644 qemu.d/c
        systemctl restart libvirtd
        domain a && virsh -q define a.xml && virsh -q start a
        cat /run/hook.log
        """,
        "qemu\nqemu.d/a\nqemu.d/b",
    ),
    Fact(
        ("A start that the `prepare` hook refuses leaves a NAME.log",),
        """
        hook 'echo $2 >>/run/hook.log; [ "$2" != prepare ]'
        domain a && virsh -q define a.xml
        virsh -q start a || ls $L && cat /run/hook.log
        """,
        "a.log\nprepare\nstopped\nrelease",
    ),
]

FIRMWARE = "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'{}/></tpm>"
OTHERS = [
    Fact(
        ("The state lies in /var/lib/libvirt/swtpm/UUID",),
        f"""
        domain a '' "{TPM.format("")}" && virsh -q define a.xml
        for try in 1 2 3 4; do virsh -q start a && break; done
        cd /var/lib/libvirt/swtpm/"$(virsh domuuid a)"
        stat -c '%U %a' . && stat -c '%a' tpm2
        [ "$(stat -c %u tpm2)" = "$(stat -c %u /proc/"$(pidof swtpm)")" ] && ls tpm2 | grep permall
        """,
        "root 711\n700\ntpm2-00.permall",
    ),
    Fact(
        ("libvirt removes the state where a transient domain ends",),
        f"""
        domain a '' "{TPM.format("")}" && domain b '' "{TPM.format(" persistent_state='yes'")}"
        for name in a b; do
            # Now and then QEMU cannot connect to a swtpm that has just begun (11.3).
            for try in 1 2 3 4; do virsh -q create $name.xml && break; done
            uuid=$(virsh domuuid $name) && virsh -q destroy $name
            [ -e /var/lib/libvirt/swtpm/$uuid/tpm2 ] && echo "$name kept" || echo "$name removed"
            virsh -q define $name.xml && uuid=$(virsh domuuid $name)
            for try in 1 2 3 4; do virsh -q start $name && break; done
            virsh -q destroy $name && virsh -q undefine $name
            [ -e /var/lib/libvirt/swtpm/$uuid/tpm2 ] && echo "$name kept" || echo "$name removed"
        done
        """,
        "a removed\na removed\nb kept\nb kept",
    ),
    Fact(
        ("On libvirt 11 /run/libvirt/qemu belongs to that user",),
        """
        domain a && virsh -q define a.xml && virsh -q start a
        [ "$(stat -c %u $S)" = "$(stat -c %u /run/libvirt/qemu)" ] && echo same
        stat -c %U /run/libvirt/qemu/a.xml
        """,
        "same\nroot",
        (11, 0),
    ),
    Fact(
        ("domrename leaves OLD.xml.once dangling",),
        """
        domain a && virsh -q define a.xml && virsh -q autostart --once a
        virsh -q domrename a b
        find $C/autostart -type l
        virsh dominfo b | grep Once
        """,
        "/etc/libvirt/qemu/autostart/a.xml.once\nAutostart Once: enable",
        (11, 2),
    ),
    Fact(
        ("A virtiofsd's pid is in /run/libvirt/qemu",),
        """
        hook '[ "$2" != start ] || ls /run/libvirt/qemu >/run/hook.log'
        domain a '' "<filesystem type='mount'><driver type='virtiofs'/><source dir='$PWD'/>
            <target dir='s'/></filesystem>" "<memoryBacking><source type='memfd'/>
            <access mode='shared'/></memoryBacking>"
        virsh -q define a.xml && virsh -q start a
        grep fs.pid /run/hook.log
        lslocks -no PATH | grep fs.pid
        """,
        "1-a-fs0-fs.pid\n/run/libvirt/qemu/1-a-fs0-fs.pid",
        (11, 3),
    ),
    Fact(
        ("/var/lib/libvirt/qemu belongs to the user",),
        """
        domain a && virsh -q define a.xml && virsh -q start a
        [ "$(stat -c %u $S)" = "$(stat -c %u /proc/"$(cat /run/libvirt/qemu/a.pid)")" ] && echo same
        """,
        "same",
    ),
    Fact(
        ("rename(2) of two links to one inode",),
        """
        touch a && ln a b && python3 -c 'import os; os.rename("a", "b")'
        ls a b
        """,
        "a\nb",
    ),
    Fact(
        ("12.8 has neither a migration to the same host",),
        """
        domain a && virsh -q define a.xml && virsh -q start a
        virsh -q domrename a b || tail -1 errors
        virsh -q migrate --live --p2p a qemu+unix:///system --migrateuri "unix:$PWD/s" ||
            grep -o 'same host' errors | head -1
        """,
        "error: Requested operation is not valid: cannot rename active domain\nsame host",
    ),
    Fact(
        ("`autostart --once` (11.2 and later",),
        """
        domain a && virsh -q define a.xml && virsh -q autostart --once a
        readlink $C/autostart/a.xml.once
        """,
        "/etc/libvirt/qemu/a.xml",
        (11, 2),
    ),
    Fact(
        ("The daemon removes it when it has started",),
        """
        domain a && virsh -q define a.xml && virsh -q autostart --once a
        virsh -q autostart --once --disable a && ls $C/autostart
        virsh -q autostart --once a && systemctl stop libvirtd
        rm -f /run/libvirt/qemu/autostarted && systemctl start libvirtd
        timeout 60 sh -c 'until virsh list --name | grep .; do sleep 0.1; done'
        ls $C/autostart
        virsh -q autostart --once a && virsh -q destroy a && virsh -q undefine a && ls $C/autostart
        """,
        "a",
        (11, 2),
    ),
    Fact(
        ("QEMU writes NVRAM in place",),
        f"""
        domain a "{FIRMWARE}" && virsh -q define a.xml && virsh -q start a && virsh -q destroy a
        ln $S/nvram/a_VARS.fd $S/nvram/second
        virsh -q start a && virsh -q destroy a
        stat -c %h $S/nvram/second
        """,
        "2",
    ),
    Fact(
        ("Another NVRAM path is taken by `define`",),
        f"""
        domain a "{FIRMWARE}" "$(disk a)" && virsh -q define a.xml
        other() {{ sed s/a_VARS/other_VARS/ >new.xml; }} && see() {{ grep -o '[a-z]*_VARS.fd<'; }}
        virsh -q snapshot-create-as a s1 --disk-only && virsh snapshot-dumpxml a s1 | other
        virsh -q snapshot-create a new.xml --redefine && virsh snapshot-dumpxml a s1 | see
        virsh -q start a && virsh dumpxml a --inactive | other
        virsh -q define new.xml && virsh dumpxml a --inactive | see
        virsh -q managedsave a && virsh managedsave-dumpxml a | other
        virsh -q managedsave-define a new.xml && virsh managedsave-dumpxml a | see
        """,
        "other_VARS.fd<\nother_VARS.fd<\nother_VARS.fd<",
    ),
    Fact(
        ("The hook's `prepare` comes before a missing NVRAM",),
        f"""
        hook '[ "$2" != prepare ] || ls /var/lib/libvirt/qemu/nvram >/run/hook.log'
        domain a "{FIRMWARE}" && virsh -q define a.xml && virsh -q start a
        echo "at prepare: $(cat /run/hook.log)" && ls $S/nvram
        """,
        "at prepare:\na_VARS.fd",
    ),
    Fact(
        ("Internal snapshots are refused for a domain whose definition has a pflash",),
        f"""
        domain a "{FIRMWARE}" "$(disk a)" && virsh -q define a.xml
        virsh -q start a && virsh -q snapshot-create-as a s1 || echo refused
        """,
        "refused",
    ),
    Fact(
        ("A config has an `<emulator>` even when",),
        """
        domain a && grep -c emulator a.xml || virsh -q define a.xml
        virsh dumpxml --inactive a | grep -c '<emulator>/usr/bin/qemu-system-x86_64<'
        """,
        "0\n1",
    ),
    Fact(
        ("The migratable XML has no aliases",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml && virsh -q start a
        virsh dumpxml --migratable a | grep -c '<alias' || true
        """,
        "0",
    ),
    Fact(
        ("QEMU's pid file is locked by QEMU itself",),
        """
        domain a && virsh -q define a.xml && virsh -q start a
        lslocks -no COMMAND,PATH | grep -c '^qemu-system.*/run/libvirt/qemu/a.pid'
        """,
        "1",
    ),
    Fact(
        ("A file chardev without `append='on'` is truncated",),
        """
        domain a '' "<serial type='file'><source path='/var/lib/libvirt/images/c'/></serial>"
        virsh -q define a.xml && echo before >/var/lib/libvirt/images/c
        virsh -q start a && grep -c before /var/lib/libvirt/images/c || true
        """,
        "0",
    ),
]


@parametrized(LOGS + HOOK + OTHERS)
def test_libvirt_does_what_the_document_says(host: PrivateHost, fact: Fact) -> None:
    holds(host, fact)
