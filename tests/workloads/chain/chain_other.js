// Part of chain.js that lies in a module of its own: functions whose variables a closure keeps, so that V8 lists
// their names before the function's own; from 75 on it does so in another way.
'use strict';

function many(call) { // @many
  let a0 = 0, a1 = 1, a2 = 2, a3 = 3, a4 = 4, a5 = 5, a6 = 6, a7 = 7, a8 = 8, a9 = 9, a10 = 10, a11 = 11,
    a12 = 12, a13 = 13, a14 = 14, a15 = 15, a16 = 16, a17 = 17, a18 = 18, a19 = 19, a20 = 20, a21 = 21,
    a22 = 22, a23 = 23, a24 = 24, a25 = 25, a26 = 26, a27 = 27, a28 = 28, a29 = 29, a30 = 30, a31 = 31,
    a32 = 32, a33 = 33, a34 = 34, a35 = 35, a36 = 36, a37 = 37, a38 = 38, a39 = 39, a40 = 40, a41 = 41,
    a42 = 42, a43 = 43, a44 = 44, a45 = 45, a46 = 46, a47 = 47, a48 = 48, a49 = 49, a50 = 50, a51 = 51,
    a52 = 52, a53 = 53, a54 = 54, a55 = 55, a56 = 56, a57 = 57, a58 = 58, a59 = 59, a60 = 60, a61 = 61,
    a62 = 62, a63 = 63, a64 = 64, a65 = 65, a66 = 66, a67 = 67, a68 = 68, a69 = 69, a70 = 70, a71 = 71,
    a72 = 72, a73 = 73, a74 = 74, a75 = 75, a76 = 76, a77 = 77, a78 = 78, a79 = 79, a80 = 80, a81 = 81,
    a82 = 82, a83 = 83, a84 = 84, a85 = 85, a86 = 86, a87 = 87, a88 = 88, a89 = 89, a90 = 90, a91 = 91,
    a92 = 92, a93 = 93, a94 = 94, a95 = 95, a96 = 96, a97 = 97, a98 = 98, a99 = 99;
  const all = () => a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11 + a12 + a13 + a14 + a15 + a16 +
    a17 + a18 + a19 + a20 + a21 + a22 + a23 + a24 + a25 + a26 + a27 + a28 + a29 + a30 + a31 + a32 + a33 + a34 +
    a35 + a36 + a37 + a38 + a39 + a40 + a41 + a42 + a43 + a44 + a45 + a46 + a47 + a48 + a49 + a50 + a51 + a52 +
    a53 + a54 + a55 + a56 + a57 + a58 + a59 + a60 + a61 + a62 + a63 + a64 + a65 + a66 + a67 + a68 + a69 + a70 +
    a71 + a72 + a73 + a74 + a75 + a76 + a77 + a78 + a79 + a80 + a81 + a82 + a83 + a84 + a85 + a86 + a87 + a88 +
    a89 + a90 + a91 + a92 + a93 + a94 + a95 + a96 + a97 + a98 + a99;
  return [call(), all];
}

function few(call) { // @few
  let b0 = 0, b1 = 1, b2 = 2, b3 = 3, b4 = 4, b5 = 5, b6 = 6, b7 = 7, b8 = 8, b9 = 9, b10 = 10, b11 = 11,
    b12 = 12, b13 = 13, b14 = 14, b15 = 15, b16 = 16, b17 = 17, b18 = 18, b19 = 19, b20 = 20, b21 = 21,
    b22 = 22, b23 = 23, b24 = 24, b25 = 25, b26 = 26, b27 = 27, b28 = 28, b29 = 29, b30 = 30, b31 = 31,
    b32 = 32, b33 = 33, b34 = 34, b35 = 35, b36 = 36, b37 = 37, b38 = 38, b39 = 39, b40 = 40, b41 = 41,
    b42 = 42, b43 = 43, b44 = 44, b45 = 45, b46 = 46, b47 = 47, b48 = 48, b49 = 49, b50 = 50, b51 = 51,
    b52 = 52, b53 = 53, b54 = 54, b55 = 55, b56 = 56, b57 = 57, b58 = 58, b59 = 59, b60 = 60, b61 = 61,
    b62 = 62, b63 = 63, b64 = 64, b65 = 65, b66 = 66, b67 = 67, b68 = 68, b69 = 69, b70 = 70, b71 = 71,
    b72 = 72, b73 = 73;
  const all = () => b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7 + b8 + b9 + b10 + b11 + b12 + b13 + b14 + b15 + b16 +
    b17 + b18 + b19 + b20 + b21 + b22 + b23 + b24 + b25 + b26 + b27 + b28 + b29 + b30 + b31 + b32 + b33 + b34 +
    b35 + b36 + b37 + b38 + b39 + b40 + b41 + b42 + b43 + b44 + b45 + b46 + b47 + b48 + b49 + b50 + b51 + b52 +
    b53 + b54 + b55 + b56 + b57 + b58 + b59 + b60 + b61 + b62 + b63 + b64 + b65 + b66 + b67 + b68 + b69 + b70 +
    b71 + b72 + b73;
  return [many(call), all];
}

exports.file = __filename;
exports.withLocals = function withLocals(call) { // @withLocals
  const kept = 1;
  return [none(call), () => kept];
};

function none(call) { // @none
  return few(call);
}
