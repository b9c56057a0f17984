# A library with names, as OpenSSL, the driver of GPUs, a loader and a C library have them.
.macro function name
.globl \name
.type \name,@function
\name: pushq %rbp
 movl $1, %eax
 syscall
 ja 1f
1: popq %rbp
 ret
.size \name, .-\name
.endm
.text
function SSL_read
function SSL_read_ex
function SSL_write
function SSL_write_ex
function SSL_free
function cuLaunchKernel
function cuMemcpyHtoD_v2
function _dl_debug_state
function read
function readv
function write
function writev
