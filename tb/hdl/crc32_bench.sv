// crc32_bench: the functions of crc32.svh as wires.
`include "crc32.svh"

module crc32_bench (
  input  logic [511:0]     data,
  input  logic [31:0]      state,
  output logic [31:0]      beat,
  output logic [6:0][31:0] shift,
  output logic [5:0][31:0] unshift
);

  assign beat       = crc32_beat(data);
  assign shift[0]   = crc32_shift1(state);
  assign shift[1]   = crc32_shift2(state);
  assign shift[2]   = crc32_shift4(state);
  assign shift[3]   = crc32_shift8(state);
  assign shift[4]   = crc32_shift16(state);
  assign shift[5]   = crc32_shift32(state);
  assign shift[6]   = crc32_shift64(state);
  assign unshift[0] = crc32_unshift1(state);
  assign unshift[1] = crc32_unshift2(state);
  assign unshift[2] = crc32_unshift4(state);
  assign unshift[3] = crc32_unshift8(state);
  assign unshift[4] = crc32_unshift16(state);
  assign unshift[5] = crc32_unshift32(state);

endmodule
