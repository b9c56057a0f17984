# A program without names that has BoringSSL, OpenSSL, rustls and Go's library.
.section .rodata
.byte 0
ossl_read: .asciz "ssl_read_internal"
ossl_write: .asciz "ssl_write_internal"
file: .asciz "vendor/boringssl/ssl/ssl_lib.cc"
.asciz "/src/rustls-0.23.46/src/conn.rs"
.asciz "/src/ring-0.17.14/src/aead.rs"
.macro reports reason line
 js 1f
 movl $16, %edi
 xorl %esi, %esi
 movl $\reason, %edx
 leaq file(%rip), %rcx
 movl $\line, %r8d
 call report
1:
.endm
.macro begin name
.p2align 4, 0xcc
\name: .cfi_startproc
 pushq %rbp
 movq %rsp, %rbp
 testl %edx, %edx
.endm
.macro finish
 popq %rbp
 ret
 .cfi_endproc
.endm
.text
text:
.zero 4096, 0xcc
begin report
finish
begin handshake
reports 0xd7, 0x300
finish
begin write
reports 0x42, 0x440
reports 0xd7, 0x450
reports 0xe2, 0x448
reports 0x6f, 0x460
finish
begin read
reports 0x42, 0x420
finish
begin own_read
 leaq ossl_read(%rip), %rdx
finish
begin own_write
 movq %r8, %rbp
 leaq ossl_write(%rip), %rdx
finish
begin callers
 call read
 call write
 call own_read
 call own_write
finish
.macro go name
.p2align 4, 0xcc
\name: cmpq 16(%r14), %rsp
 jbe 1f
 pushq %rbp
 popq %rbp
1: ret
.endm
go go_read
go go_write
go go_close
go_end:
.section .go.buildinfo,"a"
.ascii "\377 Go buildinf:"
.byte 8, 2
.zero 16
.byte 6
.ascii "go1.24"
.section .gopclntab,"a"
.long 0xfffffff1
.byte 0, 0, 1, 8
.quad 3, 0, 0, names - .gopclntab_start, units - .gopclntab_start, 0, 0, places - .gopclntab_start
.set .gopclntab_start, names - 72
names: .byte 0
name_read: .asciz "crypto/tls.(*Conn).Read"
name_write: .asciz "crypto/tls.(*Conn).Write"
name_close: .asciz "crypto/tls.(*Conn).Close"
units: .p2align 3
places:
.long go_read - text, of_read - places
.long go_write - text, of_write - places
.long go_close - text, of_close - places
.long go_end - text
of_read: .long go_read - text, name_read - names
of_write: .long go_write - text, name_write - names
of_close: .long go_close - text, name_close - names
