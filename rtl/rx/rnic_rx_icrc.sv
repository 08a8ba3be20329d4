// rnic_rx_icrc: says whether a frame's invariant CRC is right.
//
//   mask ─► CRC of the beat alone ─► accumulate ─► compare with the residue
//
// One beat per cycle, no waiting. `good` answers for a beat three cycles after it: the frame has
// shown its ICRC by then and it was right. rocev2 1.14: the Ethernet header counts as zeros before
// the seed, what routers may change as ones, bytes behind the IP packet as zeros behind the
// residue; so no byte needs to be moved.
`include "crc32.svh"

module rnic_rx_icrc (
  input  logic         clk,
  input  logic         rst,

  // A beat; the rest counts in the first beat of a frame
  input  logic         s_en,
  input  logic         s_first,
  input  logic [511:0] s_data,
  input  logic         s_vlan,
  input  logic         s_v6,
  input  logic [16:0]  s_end,    // bytes from the frame's start to the end of the ICRC

  // Three cycles later
  output logic         good
);

  // What reads as ones in an untagged frame, first byte of the wire in bits 7:0.
  localparam logic [1023:0] ONES_V4 = (1024'hFF << 8*15) | (1024'hFF << 8*22) | (1024'hFFFF << 8*24)
                                    | (1024'hFFFF << 8*40) | (1024'hFF << 8*46);
  localparam logic [1023:0] ONES_V6 = (1024'hFFFF_FF0F << 8*14) | (1024'hFF << 8*21)
                                    | (1024'hFFFF << 8*60) | (1024'hFF << 8*66);

  // The register that a good frame leaves, with `zeros` zero bytes behind its ICRC.
  function automatic logic [31:0] residue(input logic [5:0] zeros);
    logic [31:0] r;
    r = CRC32_RESIDUE;
    if (zeros[0]) r = crc32_shift1(r);
    if (zeros[1]) r = crc32_shift2(r);
    if (zeros[2]) r = crc32_shift4(r);
    if (zeros[3]) r = crc32_shift8(r);
    if (zeros[4]) r = crc32_shift16(r);
    if (zeros[5]) r = crc32_shift32(r);
    residue = r;
  endfunction

  // Where the frame stands
  logic [16:0]   left;       // bytes from the start of this beat to the end of the ICRC
  logic [16:0]   left_q;
  logic          second_q;   // this beat is the second one
  logic          vlan_q;
  logic          v6_q;
  logic          vlan;
  logic          v6;
  logic [1023:0] ones_all;
  logic [511:0]  ones;
  logic [63:0]   covered;    // bytes of the IP packet

  assign left     = s_first ? s_end : left_q;
  assign vlan     = s_first ? s_vlan : vlan_q;
  assign v6       = s_first ? s_v6 : v6_q;
  assign ones_all = (v6 ? ONES_V6 : ONES_V4) << (vlan ? 32 : 0);

  always_comb begin
    ones = '0;
    if (s_first)       ones = ones_all[511:0];
    else if (second_q) ones = ones_all[1023:512];
    for (int i = 0; i < 64; i++)
      covered[i] = 17'(i) < left && !(s_first && (i < 14 || (i < 18 && vlan)));
  end

  always_ff @(posedge clk) begin
    if (s_en) begin
      left_q   <= left > 17'd64 ? left - 17'd64 : '0;
      second_q <= s_first;
      vlan_q   <= vlan;
      v6_q     <= v6;
    end
  end

  // Stage 1: masked beat. Stage 2: its CRC from zero. Stage 3: CRC of the frame so far.
  logic [3:1]      first_q;
  logic [3:1]      live_q;   // the beat has bytes of the IP packet
  logic [3:1]      end_q;    // and the last of them
  logic [3:1][5:0] zeros_q;  // bytes behind it
  logic [2:1]      tag_q;
  logic [511:0]    data_q;
  logic [31:0]     part_q;
  logic [31:0]     crc_q;
  logic [31:0]     start;

  assign start  = !first_q[2] ? crc_q : tag_q[2] ? CRC32_SEED_VLAN : CRC32_SEED_ETH;

  always_ff @(posedge clk) begin
    for (int i = 0; i < 64; i++)
      data_q[8*i +: 8] <= (s_data[8*i +: 8] & {8{covered[i]}}) | ones[8*i +: 8];
    part_q <= crc32_beat(data_q);
    if (live_q[2]) crc_q <= crc32_shift64(start) ^ part_q;

    zeros_q <= {zeros_q[2:1], 6'd0 - left[5:0]};
    tag_q   <= {tag_q[1], vlan};
    first_q <= {first_q[2:1], s_en && s_first};
    live_q  <= {live_q[2:1], s_en && left != '0};
    end_q   <= {end_q[2:1], s_en && left != '0 && left <= 17'd64};
    if (rst) begin
      first_q <= '0;
      live_q  <= '0;
      end_q   <= '0;
    end
  end

  // The verdict of the beat that holds the end stays until the next frame begins.
  logic kept_q;

  always_comb begin
    good = kept_q && !first_q[3];
    if (end_q[3]) good = crc_q == residue(zeros_q[3]);
  end

  always_ff @(posedge clk) begin
    kept_q <= good;
    if (rst) kept_q <= 1'b0;
  end

endmodule
