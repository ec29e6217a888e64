# A guest whose TPM tells whether anything of its state was lost or rolled back.
#
# A boot sector and four more. At each tick of the timer it extends PCR 11 with a fixed digest,
# increments an NV counter, and prints both on COM1: "P<32 bytes of PCR> N<8 bytes of counter>".
# The PCR is volatile: a chain of hashes that breaks where a process began anew. The counter is on
# disk: it goes back where an older file was read. It talks to a TPM 2.0 with a TIS interface by
# its registers (TCG PC Client Platform TPM Profile, locality 0), in real mode with a large
# segment in %fs, since SeaBIOS leaves us 16 bits and the TPM lies at 0xfed40000.
#
#   as --32 tpm-guest.S -o tpm-guest.o
#   ld -m elf_i386 -Ttext 0x7c00 --oformat binary tpm-guest.o -o tpm-guest.raw

        .set    ACCESS, 0x00
        .set    STS, 0x18
        .set    FIFO, 0x24
        .set    ANSWER, 0x9000          # where the TPM's answers are read to
        .code16
        .globl  _start
        .text
_start: xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        ljmp    $0, $load
load:   movw    $0x0204, %ax            # four sectors behind this one
        movw    $0x7e00, %bx
        movw    $0x0002, %cx
        xorb    %dh, %dh
        int     $0x13
        jmp     main

gdt:    .quad   0
        .quad   0x00cf92000000ffff      # data, 4 GiB
gdtr:   .word   15
        .long   gdt

        .org    510
        .byte   0x55, 0xaa

main:   cli
        inb     $0x92, %al              # A20
        orb     $2, %al
        outb    %al, $0x92
        lgdtl   gdtr
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        jmp     large
large:  movw    $8, %bx
        movw    %bx, %fs                # its limit stays when we go back to real mode
        andb    $0xfe, %al
        movl    %eax, %cr0
        jmp     small
small:  sti
        movl    $0xfed40000, %ebx
        movw    $nv_define, %si         # fails from the second boot on: it is there
        call    ask
tick:   hlt
        movw    $pcr_extend, %si
        call    ask
        movw    $nv_increment, %si
        call    ask
        movw    $pcr_read, %si
        call    ask
        movb    $'P', %al
        call    put
        movw    $ANSWER+30, %si
        movw    $32, %cx
        call    hex
        movb    $' ', %al
        call    put
        movw    $nv_read, %si
        call    ask
        movb    $'N', %al
        call    put
        movw    $ANSWER+16, %si
        movw    $8, %cx
        call    hex
        movb    $'\n', %al
        call    put
        jmp     tick

hex:    lodsb                           # cx bytes at si
        movb    %al, %ah
        shrb    $4, %al
        call    digit
        movb    %ah, %al
        andb    $15, %al
        call    digit
        loop    hex
        ret
digit:  addb    $'0', %al
        cmpb    $'9', %al
        jbe     put
        addb    $'a'-'9'-1, %al
put:    pushw   %dx
        movw    $0x3f8, %dx
        outb    %al, %dx
        popw    %dx
        ret

# Send the command at si, whose size is in its sixth byte, and read the answer.
ask:    movb    $0x02, %fs:ACCESS(%ebx) # ask for the locality
own:    testb   $0x20, %fs:ACCESS(%ebx)
        jz      own
        movb    $0x40, %fs:STS(%ebx)    # command ready
ready:  testb   $0x40, %fs:STS(%ebx)
        jz      ready
        xorw    %cx, %cx
        movb    5(%si), %cl
send:   lodsb
        movb    %al, %fs:FIFO(%ebx)
        loop    send
        movb    $0x20, %fs:STS(%ebx)    # go
wait:   movb    %fs:STS(%ebx), %al
        andb    $0x90, %al              # valid, and data available
        cmpb    $0x90, %al
        jne     wait
        movw    $ANSWER, %di
read:   testb   $0x10, %fs:STS(%ebx)
        jz      done
        movb    %fs:FIFO(%ebx), %al
        stosb
        jmp     read
done:   movb    $0x40, %fs:STS(%ebx)
        ret

        .macro  command tag, size, code
        .byte   0x80, \tag, 0, 0, 0, \size, 0, 0, 1, \code
        .endm
        .macro  session                 # an empty password
        .byte   0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0
        .endm
        .set    OWNER, 0x01
        .macro  index
        .byte   1, 0x50, 0, 1           # 0x01500001
        .endm

nv_define:                              # a counter of 8 bytes, for the owner
        command 2, 45, 0x2a
        .byte   0x40, 0, 0, OWNER
        session
        .byte   0, 0, 0, 14
        index
        .byte   0, 0x0b, 2, 6, 0, 0x16, 0, 0, 0, 8
pcr_extend:                             # PCR 11 with 32 times 0x5a, SHA-256
        command 2, 65, 0x82
        .byte   0, 0, 0, 11
        session
        .byte   0, 0, 0, 1, 0, 0x0b
        .fill   32, 1, 0x5a
pcr_read:
        command 1, 20, 0x7e
        .byte   0, 0, 0, 1, 0, 0x0b, 3, 0, 8, 0
nv_increment:
        command 2, 31, 0x34
        .byte   0x40, 0, 0, OWNER
        index
        session
nv_read:
        command 2, 35, 0x4e
        .byte   0x40, 0, 0, OWNER
        index
        session
        .byte   0, 8, 0, 0
        .org    2560
