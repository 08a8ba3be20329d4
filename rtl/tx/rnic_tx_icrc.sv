// rnic_tx_icrc: puts the invariant CRC into the last four bytes of every frame.
//
// A beat in every cycle, never held up, four cycles from in to out:
//   1  blank what the CRC leaves out, fold 64 bytes into 32 bits
//   2  advance the register by the beat
//   3  take back the zero bytes behind the covered part (32, 16, 8)
//   4  take back the rest (4, 2), complement, insert
// The Ethernet header counts as zero bytes, for which the seed makes up. Bytes behind the covered
// part come in as zero. With 14 or 18 bytes of Ethernet header and whole words behind it, the
// covered part always ends two bytes past a word, so the ICRC may reach two bytes into the next beat.
`include "streams.svh"
`include "crc32.svh"
`include "assert.svh"

module rnic_tx_icrc (
  input  logic                 clk,
  input  logic                 rst,

  // Frames with room for the ICRC; v6 and vlan count in the first beat
  input  logic [TX_BEAT_W-1:0] s_beat,
  input  logic                 s_beat_en,
  input  logic                 s_start,
  input  logic                 s_v6,
  input  logic                 s_vlan,
  input  logic                 s_icrc,   // the ICRC starts in this beat
  input  logic [5:0]           s_cover,  // behind so many bytes

  // Frames
  output logic [TX_BEAT_W-1:0] m_beat,
  output logic                 m_beat_en
);

  // What routers may change, as offsets in a frame without VLAN tag (IP at 14).
  localparam logic [1023:0] ONES_V4 =
      (1024'hFF   << (8 * 15)) |  // traffic class
      (1024'hFF   << (8 * 22)) |  // time to live
      (1024'hFFFF << (8 * 24)) |  // header checksum
      (1024'hFFFF << (8 * 40)) |  // UDP checksum
      (1024'hFF   << (8 * 46));   // BTH congestion bits
  localparam logic [1023:0] ONES_V6 =
      (1024'h0F     << (8 * 14)) |  // traffic class, flow label
      (1024'hFFFFFF << (8 * 15)) |
      (1024'hFF     << (8 * 21)) |  // hop limit
      (1024'hFFFF   << (8 * 60)) |  // UDP checksum
      (1024'hFF     << (8 * 66));   // BTH congestion bits
  localparam logic [1023:0] ONES_V4_VLAN = ONES_V4 << 32;
  localparam logic [1023:0] ONES_V6_VLAN = ONES_V6 << 32;
  localparam logic [511:0]  ETHER        = (512'd1 << (8 * 14)) - 512'd1;
  localparam logic [511:0]  ETHER_VLAN   = (512'd1 << (8 * 18)) - 512'd1;

  // 1: blank and fold
  tx_beat_t     in;
  logic         second_q;
  logic         v6_q;
  logic         vlan_q;
  logic [511:0] masked;

  assign in = s_beat;

  always_comb begin
    masked = in.data;
    if (s_start) begin
      case ({s_v6, s_vlan})
        2'b00:   masked = (in.data | ONES_V4[511:0])      & ~ETHER;
        2'b01:   masked = (in.data | ONES_V4_VLAN[511:0]) & ~ETHER_VLAN;
        2'b10:   masked = (in.data | ONES_V6[511:0])      & ~ETHER;
        default: masked = (in.data | ONES_V6_VLAN[511:0]) & ~ETHER_VLAN;
      endcase
    end else if (second_q && v6_q) begin
      if (vlan_q) masked = in.data | ONES_V6_VLAN[1023:512];
      else        masked = in.data | ONES_V6[1023:512];
    end
  end

  logic        valid1_q;
  logic        start1_q;
  logic        icrc1_q;
  logic [5:0]  cover1_q;
  tx_beat_t    beat1_q;
  logic [31:0] fold1_q;
  logic        seed_vlan1_q;

  always_ff @(posedge clk) begin
    if (s_beat_en) begin
      second_q <= s_start;
      v6_q     <= s_v6;
      vlan_q   <= s_vlan;
    end
    valid1_q     <= s_beat_en;
    start1_q     <= s_start;
    icrc1_q      <= s_icrc;
    cover1_q     <= s_cover;
    beat1_q      <= in;
    fold1_q      <= crc32_beat(masked);
    seed_vlan1_q <= s_vlan;
    if (rst) valid1_q <= 1'b0;
  end

  // 2: advance
  logic        valid2_q;
  logic        icrc2_q;
  logic [5:0]  cover2_q;
  tx_beat_t    beat2_q;
  logic [31:0] state_q;
  logic [31:0] previous;

  always_comb begin
    previous = state_q;
    if (start1_q) previous = seed_vlan1_q ? CRC32_SEED_VLAN : CRC32_SEED_ETH;
  end

  always_ff @(posedge clk) begin
    valid2_q <= valid1_q;
    icrc2_q  <= icrc1_q;
    cover2_q <= cover1_q;
    beat2_q  <= beat1_q;
    if (valid1_q) state_q <= crc32_shift64(previous) ^ fold1_q;
    if (rst) valid2_q <= 1'b0;
  end

  // 3: take back 64 - cover zero bytes
  logic        valid3_q;
  logic        icrc3_q;
  logic        back4_3_q;
  logic [3:0]  word3_q;
  tx_beat_t    beat3_q;
  logic [31:0] back3_q;
  logic [5:0]  behind;
  logic [31:0] back32;
  logic [31:0] back16;
  logic [31:0] back8;

  assign behind = 6'd0 - cover2_q;
  assign back32 = behind[5] ? crc32_unshift32(state_q) : state_q;
  assign back16 = behind[4] ? crc32_unshift16(back32) : back32;
  assign back8  = behind[3] ? crc32_unshift8(back16) : back16;

  always_ff @(posedge clk) begin
    valid3_q  <= valid2_q;
    icrc3_q   <= icrc2_q;
    back4_3_q <= behind[2];
    word3_q   <= cover2_q[5:2];
    beat3_q   <= beat2_q;
    back3_q   <= back8;
    if (rst) valid3_q <= 1'b0;
  end

  // 4: insert
  logic [31:0]  back4;
  logic [31:0]  crc;
  logic [15:0]  over_q;  // the half that goes into the next beat
  logic         reach_q;
  logic [527:0] patch;
  tx_beat_t     out;

  assign back4 = back4_3_q ? crc32_unshift4(back3_q) : back3_q;
  assign crc   = ~crc32_unshift2(back4);

  for (genvar k = 0; k < 16; k++) begin : g_word
    assign patch[32*k + 16 +: 32] = icrc3_q && word3_q == 4'(k) ? crc : 32'd0;
  end
  assign patch[15:0] = reach_q ? over_q : 16'd0;

  always_comb begin
    out      = beat3_q;
    out.data = beat3_q.data | patch[511:0];
  end

  always_ff @(posedge clk) begin
    m_beat    <= out;
    m_beat_en <= valid3_q;
    if (valid3_q) begin
      over_q  <= crc[31:16];
      reach_q <= icrc3_q && !beat3_q.last;
    end
    if (rst) begin
      m_beat_en <= 1'b0;
      reach_q   <= 1'b0;
    end
  end

  `RNIC_ASSERT(covered_part_ends_two_past_a_word, !(s_beat_en && s_icrc) || s_cover[1:0] == 2'd2)

endmodule
