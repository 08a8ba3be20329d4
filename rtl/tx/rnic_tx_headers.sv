// rnic_tx_headers: all headers of a frame, from what the packet, its queue pair and the port say.
//
//   packet ─► FIFO ─► QpConfig (2 cycles) ─┬─► measures ──► m_frame
//                                          └─► GID (1 cycle) ─► checksum ─► m_image
//
// One packet per cycle. The measures of a frame come two cycles before its image, because the
// align stage needs them so much earlier. Tables cannot be held up: a packet starts when there is
// room for its image.
`include "streams.svh"
`include "wire.svh"
`include "tx.svh"

module rnic_tx_headers #(
  parameter int DEPTH = 128  // packets that wait for their payload
) (
  input  logic                   clk,
  input  logic                   rst,

  // Packets that become frames
  input  logic [TX_PACKET_W-1:0] s_pkt_data,
  input  logic                   s_pkt_valid,
  output logic                   s_pkt_ready,

  // Queue pair: two cycles; own address: one cycle
  output logic [23:0]            qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0] qp_rd_cfg,
  output logic [3:0]             gid_rd_index,
  input  logic [127:0]           gid_rd_gid,

  // Measures of the frame, then its headers: 112 bytes, the first in bits 7:0
  output logic [TX_FRAME_W-1:0]   m_frame_data,
  output logic                   m_frame_valid,
  input  logic                   m_frame_ready,
  output logic [895:0]           m_image_data,
  output logic                   m_image_valid,
  input  logic                   m_image_ready,

  // Configuration
  input  logic [47:0]            mac,
  input  logic                   mig_req,
  input  logic                   ecn,         // requests and read responses carry ECT(0)
  input  logic [7:0]             cnp_tclass,  // DSCP and ECN of a CNP
  input  logic [2:0]             cnp_pcp      // and its priority
);

  localparam int ROOM = 8;  // frames between the lookup and the align stage

  typedef struct packed {
    logic [223:0] ext;
    logic [4:0]   ext_bytes;
    logic [12:0]  payload_len;
    logic         ack_req;
    logic         solicited;
    logic [23:0]  psn;
    logic [7:0]   opcode;
    logic [15:0]  qpn;
  } desc_t;
  localparam int DESC_W = 292;

  function automatic logic [127:0] swap16(input logic [127:0] data);
    logic [127:0] r;
    for (int i = 0; i < 16; i++) r[8*i +: 8] = data[8*(15-i) +: 8];
    swap16 = r;
  endfunction

  function automatic logic [47:0] swap6(input logic [47:0] data);
    swap6 = {data[7:0], data[15:8], data[23:16], data[31:24], data[39:32], data[47:40]};
  endfunction

  // Packets that wait
  tx_packet_t        pkt;
  desc_t             arriving;
  desc_t             head;
  logic              head_valid;
  logic              start;
  logic [223:0]      ext;
  logic [4:0]        ext_bytes;
  logic [DESC_W-1:0] head_bits;

  assign pkt = s_pkt_data;

  rnic_tx_extension u_extension (.pkt(s_pkt_data), .ext, .ext_bytes);

  always_comb begin
    arriving.ext         = ext;
    arriving.ext_bytes   = ext_bytes;
    arriving.payload_len = pkt.payload_len;
    arriving.ack_req     = pkt.ack_req;
    arriving.solicited   = pkt.solicited;
    arriving.psn         = pkt.psn;
    arriving.opcode      = pkt.opcode;
    arriving.qpn         = pkt.qpn;
  end

  logic [$clog2(DEPTH):0] waiting_unused;

  stream_fifo #(.DATA_W(DESC_W), .DEPTH(DEPTH)) u_waiting (
    .clk, .rst,
    .s_data  (arriving),
    .s_valid (s_pkt_valid),
    .s_ready (s_pkt_ready),
    .m_data  (head_bits),
    .m_valid (head_valid),
    .m_ready (start),
    .count   (waiting_unused)
  );

  // Room for the image
  logic [3:0] room_q;
  logic       image_taken;

  assign image_taken = m_image_valid && m_image_ready;
  assign start       = head_valid && room_q != '0;

  always_ff @(posedge clk) begin
    if (start && !image_taken) room_q <= room_q - 1'b1;
    if (!start && image_taken) room_q <= room_q + 1'b1;
    if (rst) room_q <= 4'(ROOM);
  end

  // Look up
  logic  valid1_q;
  logic  valid2_q;
  desc_t desc1_q;
  desc_t desc2_q;

  assign head      = head_bits;
  assign qp_rd_qpn = {8'd0, head.qpn};

  always_ff @(posedge clk) begin
    valid1_q <= start;
    valid2_q <= valid1_q;
    desc1_q  <= head;
    desc2_q  <= desc1_q;
    if (rst) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
    end
  end

  // QpConfig is here: measures
  qp_config_t   cfg;
  logic [127:0] dst_gid;
  logic         v6;
  logic [1:0]   pad;
  logic [12:0]  udp_bytes;
  logic [5:0]   ip_bytes;
  logic [4:0]   ether_bytes;
  logic [6:0]   hdr_bytes;
  logic [12:0]  bytes;
  logic [12:0]  rounded;
  logic [7:0]   cfg_tclass;
  logic [12:0]  len2;
  tx_frame_t    frame;
  logic [15:0]  ident_q;

  // Acknowledges stay as the AV says: a mark on one would slow down a peer that sends nothing.
  opcode_info_t info1;
  logic         cnp2_q;
  logic         ect2_q;
  logic [7:0]   tclass2;

  assign info1   = opcode_info(desc1_q.opcode);
  assign tclass2 = cnp2_q ? cnp_tclass : ect2_q ? {cfg_tclass[7:2], 2'b10} : cfg_tclass;

  always_ff @(posedge clk) begin
    cnp2_q <= info1.kind == PACKET_KIND_CNP;
    ect2_q <= ecn && info1.kind != PACKET_KIND_ACK && info1.kind != PACKET_KIND_ATOMIC_ACK;
  end

  assign cfg          = qp_rd_cfg;
  assign cfg_tclass   = cfg.traffic_class;
  assign gid_rd_index = cfg.sgid_index;
  assign dst_gid      = swap16(cfg.dest_gid);
  assign v6           = dst_gid[127:32] != 96'hFFFF;
  assign len2         = desc2_q.payload_len;
  assign pad          = 2'd0 - len2[1:0];
  assign ether_bytes  = cfg.vlan_valid ? 5'd18 : 5'd14;
  assign ip_bytes     = v6 ? 6'd40 : 6'd20;
  assign udp_bytes    = 13'd24 + 13'(desc2_q.ext_bytes) + len2 + 13'(pad);
  assign hdr_bytes    = 7'(ether_bytes) + 7'(ip_bytes) + 7'd20 + 7'(desc2_q.ext_bytes);
  assign bytes        = 13'(ether_bytes) + 13'(ip_bytes) + udp_bytes;
  assign rounded      = bytes + 13'd63;

  always_comb begin
    frame.v6    = v6;
    frame.vlan  = cfg.vlan_valid;
    frame.beats = rounded[12:6];
    frame.bytes = bytes;
    frame.hdr   = hdr_bytes;
  end

  logic [$clog2(ROOM):0] frames_unused;
  logic                  frame_ready_unused;

  stream_fifo #(.DATA_W(TX_FRAME_W), .DEPTH(ROOM)) u_frames (
    .clk, .rst,
    .s_data  (frame),
    .s_valid (valid2_q),
    .s_ready (frame_ready_unused),
    .m_data  (m_frame_data),
    .m_valid (m_frame_valid),
    .m_ready (m_frame_ready),
    .count   (frames_unused)
  );

  // Sum of the IPv4 header but for the source address
  logic        valid3_q;
  desc_t       desc3_q;
  qp_config_t  cfg3_q;
  logic        cnp3_q;
  logic [7:0]  tclass3_q;
  logic        v6_3_q;
  logic [1:0]  pad3_q;
  logic [12:0] udp_bytes3_q;
  logic [15:0] ident3_q;
  logic [19:0] sum3_q;

  always_ff @(posedge clk) begin
    valid3_q     <= valid2_q;
    desc3_q      <= desc2_q;
    cfg3_q       <= cfg;
    cnp3_q       <= cnp2_q;
    tclass3_q    <= tclass2;
    v6_3_q       <= v6;
    pad3_q       <= pad;
    udp_bytes3_q <= udp_bytes;
    ident3_q     <= ident_q;
    sum3_q       <= 20'h04500 + 20'h04000 + 20'(tclass2)
                  + 20'(udp_bytes + 13'd20) + 20'(ident_q)
                  + {4'd0, cfg.hop_limit, IP_PROTOCOL_UDP}
                  + 20'(dst_gid[31:16]) + 20'(dst_gid[15:0]);
    if (valid2_q) ident_q <= ident_q + 1'b1;
    if (rst) begin
      valid3_q <= 1'b0;
      ident_q  <= '0;
    end
  end

  // Own address is here
  logic [127:0] own_gid;
  logic         valid4_q;
  desc_t        desc4_q;
  qp_config_t   cfg4_q;
  logic         cnp4_q;
  logic [7:0]   tclass4_q;
  logic         v6_4_q;
  logic [1:0]   pad4_q;
  logic [12:0]  udp_bytes4_q;
  logic [15:0]  ident4_q;
  logic [19:0]  sum4_q;
  logic [127:0] own4_q;

  assign own_gid = swap16(gid_rd_gid);

  always_ff @(posedge clk) begin
    valid4_q     <= valid3_q;
    desc4_q      <= desc3_q;
    cfg4_q       <= cfg3_q;
    cnp4_q       <= cnp3_q;
    tclass4_q    <= tclass3_q;
    v6_4_q       <= v6_3_q;
    pad4_q       <= pad3_q;
    udp_bytes4_q <= udp_bytes3_q;
    ident4_q     <= ident3_q;
    sum4_q       <= sum3_q + 20'(own_gid[31:16]) + 20'(own_gid[15:0]);
    own4_q       <= own_gid;
    if (rst) valid4_q <= 1'b0;
  end

  // Headers
  logic [15:0]  folded;
  logic [15:0]  checksum;
  logic [16:0]  fold;
  logic [15:0]  vlan4;
  logic [127:0] dst4;
  logic [15:0]  ethertype;
  logic [111:0] ether;
  logic [31:0]  tag;
  ipv4_t        ipv4;
  ipv6_t        ipv6;
  udp_t         udp;
  bth_t         bth;
  logic [383:0] transport;
  logic [895:0] image;
  logic [895:0] image_swapped;

  assign fold     = {1'b0, sum4_q[15:0]} + 17'(sum4_q[19:16]);
  assign folded   = fold[15:0] + 16'(fold[16]);
  assign checksum = ~folded;

  assign vlan4     = cfg4_q.vlan;
  assign dst4      = swap16(cfg4_q.dest_gid);
  assign ethertype = v6_4_q ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  assign ether     = {swap6(cfg4_q.dest_mac), swap6(mac),
                      cfg4_q.vlan_valid ? ETHERTYPE_VLAN : ethertype};
  assign tag       = {cnp4_q ? cnp_pcp : vlan4[15:13], vlan4[12:0], ethertype};

  always_comb begin
    ipv4.version         = 4'd4;
    ipv4.ihl             = 4'd5;
    ipv4.dscp            = tclass4_q[7:2];
    ipv4.ecn             = tclass4_q[1:0];
    ipv4.total_length    = 16'(udp_bytes4_q + 13'd20);
    ipv4.identification  = ident4_q;
    ipv4.reserved        = 1'b0;
    ipv4.df              = 1'b1;
    ipv4.mf              = 1'b0;
    ipv4.fragment_offset = 13'd0;
    ipv4.ttl             = cfg4_q.hop_limit;
    ipv4.protocol        = IP_PROTOCOL_UDP;
    ipv4.checksum        = checksum;
    ipv4.src             = own4_q[31:0];
    ipv4.dst             = dst4[31:0];

    ipv6.version        = 4'd6;
    ipv6.dscp           = tclass4_q[7:2];
    ipv6.ecn            = tclass4_q[1:0];
    ipv6.flow_label     = cfg4_q.flow_label;
    ipv6.payload_length = 16'(udp_bytes4_q);
    ipv6.next_header    = IP_PROTOCOL_UDP;
    ipv6.hop_limit      = cfg4_q.hop_limit;
    ipv6.src            = own4_q;
    ipv6.dst            = dst4;

    udp.src_port = cfg4_q.udp_sport;
    udp.dst_port = UDP_PORT_ROCE;
    udp.length   = 16'(udp_bytes4_q);
    udp.checksum = 16'd0;

    bth.opcode     = desc4_q.opcode;
    bth.se         = desc4_q.solicited;
    bth.migreq     = mig_req && !cnp4_q;
    bth.pad        = pad4_q;
    bth.tver       = 4'd0;
    bth.pkey       = cfg4_q.pkey;
    bth.fecn       = 1'b0;
    bth.becn       = cnp4_q;
    bth.reserved_a = 6'd0;
    bth.dest_qp    = cfg4_q.dest_qpn;
    bth.ackreq     = desc4_q.ack_req;
    bth.reserved_b = 7'd0;
    bth.psn        = desc4_q.psn;
  end

  assign transport = {udp, bth, desc4_q.ext};

  always_comb begin
    case ({v6_4_q, cfg4_q.vlan_valid})
      2'b00:   image = {ether, ipv4, transport, 240'd0};
      2'b01:   image = {ether, tag, ipv4, transport, 208'd0};
      2'b10:   image = {ether, ipv6, transport, 80'd0};
      default: image = {ether, tag, ipv6, transport, 48'd0};
    endcase
  end

  for (genvar i = 0; i < 112; i++) begin : g_swap
    assign image_swapped[8*i +: 8] = image[8*(111-i) +: 8];
  end

  logic [$clog2(ROOM):0] images_unused;
  logic                  image_ready_unused;

  stream_fifo #(.DATA_W(896), .DEPTH(ROOM)) u_images (
    .clk, .rst,
    .s_data  (image_swapped),
    .s_valid (valid4_q),
    .s_ready (image_ready_unused),
    .m_data  (m_image_data),
    .m_valid (m_image_valid),
    .m_ready (m_image_ready),
    .count   (images_unused)
  );

endmodule
