#!/bin/sh
# Makes seeds for the fuzz targets: small programs with the kinds of unwind information that compilers write, libraries with what
# finders look for, and recorded conversations.
set -eu
cd "$(dirname "$0")"
seeds=corpus/unwind_table
mkdir -p "$seeds"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat >"$work/seed.c" <<'C'
#include <alloca.h>
void use(void *);
void frame(int n) { char a[64]; use(a); if (n) use(a + n); use(alloca(n)); }
void realigned(int n) { char a[64] __attribute__((aligned(64))); use(a); use(alloca(n)); }
void use(void *p) { *(volatile char *)p = 0; }
void _start(void) { frame(1); realigned(2); for (;;); }
__asm__(".globl trampoline\n.cfi_startproc simple\n.cfi_signal_frame\n.cfi_def_cfa 7, 160\n"
        "trampoline: nop\n.cfi_endproc\n");
C

# Options of the compiler, one seed for each line.
n=0
while read -r options; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    cc -nostdlib -static -Wl,-z,noseparate-code -Wl,-z,max-page-size=4096 -Wl,--build-id -Wl,--eh-frame-hdr $options \
        "$work/seed.c" -o "$seeds/$n"
    [ "$(stat -c %s "$seeds/$n")" -lt 20000 ]
done <<'OPTIONS'
-O2
-O2 -s
-O0 -fno-omit-frame-pointer
-O2 -static-pie -fPIE
-O2 -g -fno-asynchronous-unwind-tables
-O2 -g -gz=zlib -fno-asynchronous-unwind-tables
OPTIONS

# Without section headers: their place and number are zero.
cp "$seeds/2" "$seeds/headless"
for at in 40 44 60 62; do
    printf '\0\0\0\0' | dd of="$seeds/headless" bs=1 seek=$at count=$((at < 60 ? 4 : 2)) conv=notrunc status=none
done

# What finders of functions know.
mkdir -p corpus/uprobes
for file in named stripped; do
    cc -shared -nostdlib -Wl,--eh-frame-hdr -Wl,-z,noseparate-code -s ../agent-daemon/src/uprobes/testdata/$file.s \
        -o corpus/uprobes/$file
done

# Recorded conversations, as lists of parts: flags, length, bytes.
mkdir -p corpus/wire
for recording in ../agent-daemon/src/wire/testdata/*.rec; do
    seed=corpus/wire/$(basename "$recording" .rec)
    : >"$seed"
    grep -v '^=' "$recording" | head -40 | while read -r _ _ way data; do
        flags=$(case $way in '<') echo 001 ;; x) echo 010 ;; *) echo 000 ;; esac)
        printf '%s' "$data" | base64 -d >"$work/part"
        length=$(stat -c %s "$work/part")
        # shellcheck disable=SC2059
        printf "\\$flags\\$(printf %03o $((length / 256 % 256)))\\$(printf %03o $((length % 256)))" >>"$seed"
        cat "$work/part" >>"$seed"
    done
done
