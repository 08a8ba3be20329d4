// rnic_rx_parse: reads the headers of every frame and says at its last beat what it was.
//
//   0 wait for ─► 1 window of ─► 2 strip ─► 3 strip ─► 4 UDP, BTH, ─► 5 extended ─► 6 lengths ─► 7 out
//     next beat     two beats      Ethernet   IP         opcode table   headers       verdict
//
// All headers of a frame lie in its first two beats (at most 110 bytes). Takes a beat every cycle,
// frames of one beat included; from stage 1 on a beat moves every cycle. Header registers of a stage
// are loaded by a frame's first beat and hold for the others, so that the last beat meets them.
// The length comes from IP, trailing bytes are ignored. Only operations of RC and CNPs are served so far.
`include "rx.svh"
`include "streams.svh"
`include "wire.svh"

module rnic_rx_parse #(
  parameter int DEST_LATENCY = 2  // cycles from rx_dest_gid to its answer, 1 to 3
) (
  input  logic         clk,
  input  logic         rst,

  // Frames from the MAC; tuser: the MAC found it bad
  input  logic         enable,
  input  logic [511:0] s_axis_rx_tdata,
  input  logic [63:0]  s_axis_rx_tkeep,
  input  logic         s_axis_rx_tlast,
  input  logic         s_axis_rx_tuser,
  input  logic         s_axis_rx_tvalid,

  // Is this address ours
  output logic [127:0] rx_dest_gid,
  input  logic         rx_dest_hit,
  input  logic [3:0]   rx_dest_index,

  // To the ICRC check, answered three cycles later
  output logic         m_crc_en,
  output logic         m_crc_first,
  output logic [511:0] m_crc_data,
  output logic         m_crc_vlan,
  output logic         m_crc_v6,
  output logic [16:0]  m_crc_end,
  input  logic         crc_good,

  // To the buffer; all but data and store count in the last beat
  output logic         m_en,
  output logic         m_last,
  output logic         m_store,
  output logic [511:0] m_data,
  output rx_header_t   m_hdr,
  output logic [4:0]   m_reason,
  output logic [12:0]  m_bytes     // of the frame, 8191 for more
);

  localparam int MAX_PAYLOAD = 4096;
  localparam int L3_BYTES    = 92;   // IPv6, UDP, BTH, 32 bytes of extended headers
  localparam int L4_BYTES    = 52;

  // 0: a beat waits here for the next one of its frame

  logic         s0_valid_q;
  logic [511:0] s0_data_q;
  logic [63:0]  s0_keep_q;
  logic         s0_first_q;
  logic         s0_last_q;
  logic         s0_bad_q;
  logic         s0_off_q;
  logic         open_q;      // the next beat goes on with a frame
  logic         step;
  logic [6:0]   s0_count;

  assign step = s0_valid_q && (s0_last_q || s_axis_rx_tvalid);

  always_comb begin
    s0_count = '0;
    for (int i = 0; i < 64; i++)
      if (s0_keep_q[i]) s0_count = 7'(i + 1);
  end

  always_ff @(posedge clk) begin
    if (s_axis_rx_tvalid) begin
      s0_data_q  <= s_axis_rx_tdata;
      s0_keep_q  <= s_axis_rx_tkeep;
      s0_first_q <= !open_q;
      s0_last_q  <= s_axis_rx_tlast;
      s0_bad_q   <= s_axis_rx_tuser || (open_q && s0_bad_q);
      s0_off_q   <= open_q ? s0_off_q : !enable;
      open_q     <= !s_axis_rx_tlast;
    end
    s0_valid_q <= s_axis_rx_tvalid || (s0_valid_q && !step);
    if (rst) begin
      s0_valid_q <= 1'b0;
      open_q     <= 1'b0;
    end
  end

  // The beats, one stage per cycle

  logic [7:1]        valid_q;
  logic [7:1]        first_q;
  logic [7:1]        last_q;
  logic [7:1][511:0] data_q;
  logic [6:1]        bad_q;
  logic [6:1]        off_q;
  logic [6:1]        load;     // a first beat leaves the stage: the next one takes the headers
  logic [6:0]        s1_count_q;
  logic [7:2][15:0]  bytes_q;  // of the frame, this beat included
  logic [15:0]       so_far;

  assign load   = valid_q[6:1] & first_q[6:1];
  assign so_far = first_q[1] ? '0 : bytes_q[2];

  always_ff @(posedge clk) begin
    first_q    <= {first_q[6:1], s0_first_q};
    last_q     <= {last_q[6:1], s0_last_q};
    data_q     <= {data_q[6:1], s0_data_q};
    bad_q      <= {bad_q[5:1], s0_bad_q};
    off_q      <= {off_q[5:1], s0_off_q};
    s1_count_q <= s0_count;
    // A frame without end stays too long; stage 2 counts, so it keeps its value between beats.
    bytes_q[7:3] <= bytes_q[6:2];
    if (valid_q[1]) bytes_q[2] <= so_far[15] ? so_far : so_far + 16'(s1_count_q);
    valid_q <= {valid_q[6:1], step};
    if (rst) valid_q <= '0;
  end

  // 1: the window of two beats, from here on with the first byte on top

  logic [1023:0]       s1_window_q;
  logic [1023:0]       s1_wire;
  logic                s1_vlan;

  always_ff @(posedge clk) begin
    if (step && s0_first_q) s1_window_q <= {s_axis_rx_tdata, s0_data_q};
  end

  for (genvar i = 0; i < 128; i++) begin : g_wire
    assign s1_wire[8*(127-i) +: 8] = s1_window_q[8*i +: 8];
  end

  assign s1_vlan = s1_wire[1023-96 -: 16] == ETHERTYPE_VLAN;

  // 2: Ethernet is off

  logic                  s2_vlan_q;
  logic [15:0]           s2_type_q;
  logic [8*L3_BYTES-1:0] s2_l3_q;
  ipv4_t                 ip4;
  ipv6_t                 ip6;
  logic                  s2_v6;
  rx_net_t               s2_net;
  logic [19:0]           s2_sum;

  always_ff @(posedge clk) begin
    if (load[1]) begin
      s2_vlan_q <= s1_vlan;
      s2_type_q <= s1_vlan ? s1_wire[1023-128 -: 16] : s1_wire[1023-96 -: 16];
      s2_l3_q   <= s1_vlan ? s1_wire[1023-144 -: 8*L3_BYTES] : s1_wire[1023-112 -: 8*L3_BYTES];
    end
  end

  assign ip4   = s2_l3_q[8*L3_BYTES-1 -: IPV4_W];
  assign ip6   = s2_l3_q[8*L3_BYTES-1 -: IPV6_W];
  assign s2_v6 = s2_type_q == ETHERTYPE_IPV6;

  always_comb begin
    s2_net.vlan     = s2_vlan_q;
    s2_net.v4       = s2_type_q == ETHERTYPE_IPV4;
    s2_net.v6       = s2_v6;
    s2_net.ip_bad   = s2_v6 ? ip6.version != 4'd6 : ip4.version != 4'd4 || ip4.ihl != 4'd5;
    s2_net.fragment = !s2_v6 && (ip4.mf || ip4.fragment_offset != '0);
    s2_net.not_udp  = (s2_v6 ? ip6.next_header : ip4.protocol) != IP_PROTOCOL_UDP;
    s2_net.ce       = (s2_v6 ? ip6.ecn : ip4.ecn) == 2'd3;
    s2_net.udp_want = s2_v6 ? 17'(ip6.payload_length) : 17'(ip4.total_length) - 17'd20;
    s2_net.ip_end   = (s2_v6 ? 17'(ip6.payload_length) + 17'd40 : 17'(ip4.total_length))
                    + (s2_vlan_q ? 17'd18 : 17'd14);
    s2_sum = '0;
    for (int i = 0; i < 10; i++)
      s2_sum = s2_sum + 20'(s2_l3_q[8*L3_BYTES-1 - 16*i -: 16]);
  end

  // GIDs have the first byte of the wire in bits 7:0.
  function automatic logic [127:0] reverse16(input logic [127:0] wire_order);
    logic [127:0] r;
    for (int i = 0; i < 16; i++) r[8*i +: 8] = wire_order[8*(15-i) +: 8];
    reverse16 = r;
  endfunction

  // 3: IP is off

  rx_net_t               s3_net_q;
  logic [19:0]           s3_sum_q;
  logic [127:0]          s3_src_q;
  logic [127:0]          s3_dest_q;
  logic [8*L4_BYTES-1:0] s3_l4_q;
  udp_t                  udp;
  bth_t                  bth;
  logic [16:0]           s3_fold;
  rx_check_t             s3_check;

  always_ff @(posedge clk) begin
    if (load[2]) begin
      s3_net_q  <= s2_net;
      s3_sum_q  <= s2_sum;
      s3_src_q  <= reverse16(s2_v6 ? ip6.src : {80'd0, 16'hFFFF, ip4.src});
      s3_dest_q <= reverse16(s2_v6 ? ip6.dst : {80'd0, 16'hFFFF, ip4.dst});
      s3_l4_q   <= s2_v6 ? s2_l3_q[8*(L3_BYTES-40)-1 -: 8*L4_BYTES]
                         : s2_l3_q[8*(L3_BYTES-20)-1 -: 8*L4_BYTES];
    end
  end

  assign rx_dest_gid = s3_dest_q;
  assign m_crc_en    = valid_q[3];
  assign m_crc_first = first_q[3];
  assign m_crc_data  = data_q[3];
  assign m_crc_vlan  = s3_net_q.vlan;
  assign m_crc_v6    = s3_net_q.v6;
  assign m_crc_end   = s3_net_q.ip_end;

  assign udp     = s3_l4_q[8*L4_BYTES-1 -: UDP_W];
  assign bth     = s3_l4_q[8*(L4_BYTES-8)-1 -: BTH_W];
  assign s3_fold = 17'(s3_sum_q[15:0]) + 17'(s3_sum_q[19:16]);

  always_comb begin
    // Ten words must add up to all ones; a carry out of this sum would leave no more than 9.
    s3_check.checksum   = s3_net_q.v4 && s3_fold != 17'h0FFFF;
    s3_check.port       = udp.dst_port != UDP_PORT_ROCE;
    s3_check.length     = {1'b0, udp.length} != s3_net_q.udp_want || udp.length[1:0] != '0;
    s3_check.no_bth     = udp.length < 16'd24;
    s3_check.tver       = bth.tver != '0;
    s3_check.not_served = bth.opcode[7:5] != TRANSPORT_RC && bth.opcode != OPCODE_CNP;
    s3_check.no_room    = 1'b0;
    s3_check.too_long   = 1'b0;
  end

  // 4: UDP and BTH are read, the extended headers begin on top of s4_ext_q

  rx_net_t      s4_net_q;
  rx_check_t    s4_check_q;
  logic [127:0] s4_src_q;
  bth_t         s4_bth_q;
  opcode_info_t s4_info_q;
  logic [15:0]  s4_ib_q;      // bytes behind the BTH, without ICRC
  logic [255:0] s4_ext_q;
  rx_header_t   s4_hdr;
  logic [17:0]  s4_payload;   // negative when there is not even room for the headers
  logic [6:0]   s4_offset;    // of the payload in the frame

  always_ff @(posedge clk) begin
    if (load[3]) begin
      s4_net_q   <= s3_net_q;
      s4_check_q <= s3_check;
      s4_src_q   <= s3_src_q;
      s4_bth_q   <= bth;
      s4_info_q  <= opcode_info(bth.opcode);
      s4_ib_q    <= udp.length - 16'd24;
      s4_ext_q   <= s3_l4_q[255:0];
    end
  end

  assign s4_payload = 18'(s4_ib_q) - 18'(s4_info_q.header_bytes) - 18'(s4_bth_q.pad);
  assign s4_offset  = (s4_net_q.vlan ? 7'd38 : 7'd34) + (s4_net_q.v6 ? 7'd40 : 7'd20)
                    + 7'(s4_info_q.header_bytes);

  rnic_rx_headers u_headers (
    .bth     (s4_bth_q),
    .info    (s4_info_q),
    .ext     (s4_ext_q),
    .src_gid (s4_src_q),
    .ce      (s4_net_q.ce),
    .hdr     (s4_hdr)
  );

  // 5: the header but for its lengths. 6: all of it.

  rx_net_t      s5_net_q;
  rx_net_t      s6_net_q;
  rx_check_t    s5_check_q;
  rx_check_t    s5_check;
  rx_check_t    s6_check_q;
  rx_header_t   s5_hdr_q;
  rx_header_t   s5_hdr;
  rx_header_t   s6_hdr_q;
  rx_header_t   s6_hdr;
  logic [17:0]  s5_payload_q;
  logic [6:0]   s5_offset_q;
  logic         s6_late_q;    // the payload begins in the second beat
  logic         s6_hit;
  logic [3:0]   s6_index;
  logic [18:0]  s5_span;

  assign s5_span = 19'(s5_payload_q) + 19'(s5_offset_q[5:0]) + 19'd63;

  always_comb begin
    s5_hdr               = s5_hdr_q;
    s5_hdr.payload_len   = s5_payload_q[12:0];
    s5_hdr.payload_off   = s5_offset_q[5:0];
    s5_hdr.payload_beats = s5_payload_q == '0 ? '0 : s5_span[12:6];
    s5_check             = s5_check_q;
    s5_check.no_room     = s5_payload_q[17];
    s5_check.too_long    = s5_payload_q > 18'(MAX_PAYLOAD);
  end

  always_ff @(posedge clk) begin
    if (load[4]) begin
      s5_net_q     <= s4_net_q;
      s5_check_q   <= s4_check_q;
      s5_hdr_q     <= s4_hdr;
      s5_payload_q <= s4_payload;
      s5_offset_q  <= s4_offset;
    end
    if (load[5]) begin
      s6_net_q    <= s5_net_q;
      s6_check_q  <= s5_check;
      s6_hdr_q    <= s5_hdr;
      s6_late_q   <= s5_offset_q[6];
    end
  end

  // The answer about the address was asked in stage 3.
  if (DEST_LATENCY == 3) begin : g_dest_now
    assign s6_hit   = rx_dest_hit;
    assign s6_index = rx_dest_index;
  end else begin : g_dest_wait
    localparam int W = 5 * (3 - DEST_LATENCY);

    logic [W-1:0] dest_q;

    always_ff @(posedge clk) dest_q <= W'({dest_q, rx_dest_hit, rx_dest_index});

    assign {s6_hit, s6_index} = dest_q[W-1 -: 5];
  end

  always_comb begin
    s6_hdr            = s6_hdr_q;
    s6_hdr.dest_hit   = s6_hit;
    s6_hdr.sgid_index = s6_index;
  end

  // The verdict; it counts for the last beat
  logic [4:0] reason;

  rnic_rx_verdict u_verdict (
    .off    (off_q[6]),
    .bad    (bad_q[6]),
    .bytes  (bytes_q[6]),
    .net    (s6_net_q),
    .check  (s6_check_q),
    .crc_good,
    .reason
  );

  // 7: out. Beats are counted to find those with payload.
  rx_header_t s7_hdr_q;
  logic       s7_late_q;
  logic [6:0] index_q;     // of the beat in stage 7, 127 for more
  logic [7:0] behind;      // first beat behind the payload

  always_ff @(posedge clk) begin
    if (load[6]) begin
      s7_hdr_q  <= s6_hdr;
      s7_late_q <= s6_late_q;
    end
    if (valid_q[6]) begin
      m_reason <= reason;
      index_q  <= first_q[6] ? '0 : index_q == '1 ? index_q : index_q + 1'b1;
    end
  end

  assign behind  = 8'(s7_hdr_q.payload_beats) + 8'(s7_late_q);
  assign m_en    = valid_q[7];
  assign m_last  = last_q[7];
  assign m_data  = data_q[7];
  assign m_hdr   = s7_hdr_q;
  assign m_store = !(s7_late_q && index_q == '0) && {1'b0, index_q} < behind;
  assign m_bytes = bytes_q[7][15:13] != '0 ? '1 : bytes_q[7][12:0];

endmodule
