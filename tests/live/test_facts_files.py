"""What libvirt does with a domain's files, as docs/libvirt-facts.md says."""

from tests.live.facts import Fact, holds, parametrized
from tests.live.private_host import PrivateHost

READING = [
    Fact(
        ("Every `*.xml` in the config directory",),
        """
        domain a && virsh -q define a.xml
        mkdir $C/sub && domain b && cp b.xml $C/sub && cp b.xml $C/b.txt && cp b.xml $C/b.xml.new
        domain c && cp c.xml $C
        systemctl restart libvirtd
        virsh list --all --name
        """,
        "a\nc",
    ),
    Fact(
        ("A config that is a symlink loads",),
        """
        domain a && virsh -q define a.xml
        mkdir $C/store && mv $C/a.xml $C/store/u.xml && ln -s store/u.xml $C/a.xml
        systemctl restart libvirtd
        virsh list --all --name
        """,
        "a",
    ),
    Fact(
        ("A dangling one is an error line",),
        """
        domain a && virsh -q define a.xml
        ln -s nowhere $C/x.xml
        systemctl restart libvirtd
        virsh list --all --name
        grep -o "Failed to load config for domain 'x'" $DAEMON_LOG
        """,
        "a\nFailed to load config for domain 'x'",
    ),
    Fact(
        ("A `UUID.xml` directly beside `NAME.xml`",),
        """
        domain a && virsh -q define a.xml
        cp $C/a.xml $C/$(virsh domuuid a).xml
        systemctl restart libvirtd
        virsh -q undefine a
        systemctl restart libvirtd
        virsh list --all --name
        """,
        "a",
    ),
    Fact(
        ("Autostart is on when autostart/NAME.xml and NAME.xml",),
        """
        domain a && virsh -q define a.xml && virsh -q autostart a
        touch /run/libvirt/qemu/autostarted
        mkdir $C/store && mv $C/a.xml $C/store/u.xml && ln -s store/u.xml $C/a.xml
        systemctl restart libvirtd
        virsh dominfo a | grep Autostart:
        rm $C/autostart/a.xml && cp $C/a.xml $C/autostart/a.xml
        systemctl restart libvirtd
        virsh dominfo a | grep Autostart:
        """,
        "Autostart:      enable\nAutostart:      disable",
    ),
    Fact(
        ("In snapshot/NAME and checkpoint/NAME every entry is parsed",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml
        virsh -q snapshot-create-as a s1 && sed s/s1/s2/ $S/snapshot/a/s1.xml >$S/snapshot/a/junk
        checkpoint a c1 && mv $S/checkpoint/a/c1.xml $S/checkpoint/a/junk
        systemctl restart libvirtd
        virsh snapshot-list a --name
        virsh checkpoint-list a --name
        """,
        "s1\ns2\nc1",
    ),
]

WRITING = [
    Fact(
        ("A save is NAME.xml.new, fsync, rename",),
        """
        domain a && virsh -q define a.xml
        mkdir $C/store && mv $C/a.xml $C/store/u.xml && ln -s store/u.xml $C/a.xml
        trace fsync,rename
        virsh -q setmem a 16M --config
        traced
        stat -c %F $C/a.xml
        """,
        "fsync /etc/libvirt/qemu/a.xml.new\nrename /etc/libvirt/qemu/a.xml\nregular file",
    ),
    Fact(
        ("`undefine` unlinks autostart/NAME.xml, NAME.xml",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml && virsh -q autostart a
        virsh -q snapshot-create-as a s1 && echo x >$L/a.log
        trace unlink,rmdir
        virsh -q undefine a --snapshots-metadata
        traced | grep -v s1.xml
        ls $L
        """,
        """
        unlink /etc/libvirt/qemu/autostart/a.xml
        unlink /etc/libvirt/qemu/a.xml
        rmdir /var/lib/libvirt/qemu/snapshot/a
        a.log
        """.replace("        ", ""),
    ),
    Fact(
        ("`destroy --remove-logs` unlinks",),
        """
        domain a && virsh -q define a.xml && virsh -q start a
        touch $L/a.log.0 $L/a.log.1 $L/b.log $L/aa.log
        virsh -q destroy a --remove-logs
        ls $L
        """,
        "aa.log\nb.log",
    ),
    Fact(
        ("`snapshot-delete` unlinks SNAP.xml and rewrites the parent's",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml
        virsh -q snapshot-create-as a s1 && virsh -q snapshot-create-as a s2
        trace unlink,rename
        virsh -q snapshot-delete a s2
        traced | sed 's,/var/.*/,,'
        """,
        "rename s1.xml\nunlink s2.xml",
    ),
    Fact(
        ("`checkpoint-create --redefine` works",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml
        checkpoint a c1
        virsh checkpoint-list a --name
        """,
        "c1",
    ),
    Fact(
        ("`snapshot-create --redefine` of a shut-off state wants",),
        """
        domain a && virsh -q define a.xml
        snapshot() {
            echo "<domainsnapshot><name>s1</name><creationTime>1</creationTime>
                <state>shutoff</state>$1</domainsnapshot>" >s.xml
            virsh -q snapshot-create a s.xml --redefine || tail -1 errors | sed 's/.*: //'
        }
        snapshot ''
        snapshot "$(virsh dumpxml a)" >/dev/null && virsh snapshot-list a --name
        """,
        "missing domain in snapshot\ns1",
    ),
]

RENAMING = [
    Fact(
        ("Order: clean up `new`; autostart link",),
        """
        domain a '' "$(disk a)" && virsh -q define a.xml && virsh -q autostart a
        virsh -q snapshot-create-as a s1
        trace unlink,rmdir,symlink,rename
        virsh -q domrename a b
        traced
        """,
        """
        symlink /etc/libvirt/qemu/autostart/b.xml
        rename /var/lib/libvirt/qemu/snapshot/b/s1.xml
        rename /etc/libvirt/qemu/b.xml
        unlink /etc/libvirt/qemu/a.xml
        unlink /etc/libvirt/qemu/autostart/a.xml
        unlink /var/lib/libvirt/qemu/snapshot/a/s1.xml
        rmdir /var/lib/libvirt/qemu/snapshot/a
        """.replace("        ", ""),
    ),
    Fact(
        ("Logs and NVRAM keep the old name",),
        """
        domain a "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        virsh -q define a.xml && virsh -q start a && virsh -q destroy a
        virsh -q domrename a b && ls $L $S/nvram
        virsh -q start b && virsh -q managedsave b
        virsh -q domrename b c || tail -1 errors
        """,
        """
        /var/lib/libvirt/qemu/nvram:
        a_VARS.fd
        /var/log/libvirt/qemu:
        a.log
        error: Requested operation is not valid: domain with a managed saved state can't be renamed
        """.replace("        ", ""),
    ),
    Fact(
        ("`define` of a new domain cleans up its name",),
        """
        mkdir -p $S/snapshot/a $S/checkpoint/a && touch $S/snapshot/a/x $S/checkpoint/a/x
        ln -s nowhere $C/a.xml
        domain a && virsh -q define a.xml
        stat -c %F $C/a.xml && ls $S/snapshot $S/checkpoint
        """,
        "regular file\n/var/lib/libvirt/qemu/checkpoint:\n/var/lib/libvirt/qemu/snapshot:",
    ),
]

NAMES = [
    Fact(
        ("Spaces, tab, newline (domrename), leading dash",),
        r"""
        domain a && virsh -q define a.xml && uuid=$(virsh domuuid a)
        for name in 'a b' $'a\tb' $'a\nb' -a ' a' .a "a'b" 'a"b' \
            5cf9c2b0-0000-4000-8000-000000000001 "$(printf %240s | tr ' ' n)"; do
            virsh -q domrename "$uuid" -- "$name"
            [ -e "$C/$name.xml" ] && now=$(virsh domname "$uuid") && now=${now:0:6}
            now=${now//$'\n'/N} && echo "${now//$'\t'/T}"
        done
        """,
        "a b\naTb\naNb\n-a\n a\n.a\na'b\na\"b\n5cf9c2\nnnnnnn",
    ),
    Fact(
        ("virsh takes ID, UUID, name",),
        """
        domain a && virsh -q define a.xml && uuid=$(virsh domuuid a)
        domain "$uuid" && virsh -q define "$uuid.xml"
        virsh domname "$uuid"
        domain 1 && virsh -q define 1.xml && virsh -q start a
        virsh domname 1
        """,
        "a\na",
    ),
]


@parametrized(READING + WRITING + RENAMING + NAMES)
def test_libvirt_does_what_the_document_says(host: PrivateHost, fact: Fact) -> None:
    holds(host, fact)
