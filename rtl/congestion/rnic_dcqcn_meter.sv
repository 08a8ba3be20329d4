// rnic_dcqcn_meter: bytes that each queue pair has sent, and whether it may send more.
//
//   sent ─► count (RAM) ─► compare with the limit (RAM) ─► over, three cycles behind the packet
//                 └─► to the engine, one cycle behind its question
//
// Every packet counts OVERHEAD bytes besides its payload: Ethernet, IPv4, UDP, BTH, ICRC.
// Both numbers run free in 32 bits; a limit is never far from its count. A packet per cycle. Limits of
// queue pairs that have none are unknown, so `over` means nothing for them.
module rnic_dcqcn_meter #(
  parameter int QP_COUNT = 256,
  parameter int OVERHEAD = 58,
  parameter int QP_W     = $clog2(QP_COUNT)
) (
  input  logic            clk,
  input  logic            rst,

  // A packet leaves the requester with so much payload
  input  logic            sent_en,
  input  logic [QP_W-1:0] sent_qpn,
  input  logic [12:0]     sent_bytes,

  // It was more than the queue pair may send
  output logic            over_en,
  output logic [QP_W-1:0] over_qpn,

  // Bytes sent so far
  input  logic            rd_en,
  input  logic [QP_W-1:0] rd_qpn,
  output logic [31:0]     rd_sent,

  // Bytes that it may send
  input  logic            limit_en,
  input  logic [QP_W-1:0] limit_qpn,
  input  logic [31:0]     limit
);

  // 0: read; 1: count; 2: compare
  logic                en1_q;
  logic [QP_W-1:0]     qpn1_q;
  logic [12:0]         bytes1_q;
  logic [QP_COUNT-1:0] counted_q;  // its RAM entry is good; else it is 0
  logic [31:0]         so_far;
  logic [31:0]         total;
  logic [31:0]         limit1;
  logic                en2_q;
  logic [QP_W-1:0]     qpn2_q;
  logic [31:0]         total2_q;
  logic [31:0]         limit2_q;
  logic [31:0]         ahead;
  logic [31:0]         engine;
  logic                engine_counted_q;

  assign total   = (counted_q[qpn1_q] ? so_far : 32'd0) + 32'(bytes1_q);
  assign rd_sent = engine_counted_q ? engine : 32'd0;

  ram_1w2r #(.DATA_W(32), .DEPTH(QP_COUNT), .BYPASS(1)) u_sent (
    .clk,
    .wr_en     (en1_q),
    .wr_addr   (qpn1_q),
    .wr_data   (total),
    .rd_a_en   (sent_en),
    .rd_a_addr (sent_qpn),
    .rd_a_data (so_far),
    .rd_b_en   (rd_en),
    .rd_b_addr (rd_qpn),
    .rd_b_data (engine)
  );

  ram_1w1r #(.DATA_W(32), .DEPTH(QP_COUNT)) u_limit (
    .clk,
    .wr_en   (limit_en),
    .wr_addr (limit_qpn),
    .wr_data (limit),
    .rd_en   (sent_en),
    .rd_addr (sent_qpn),
    .rd_data (limit1)
  );

  assign ahead    = total2_q - limit2_q;
  assign over_en  = en2_q && !ahead[31] && ahead != '0;
  assign over_qpn = qpn2_q;

  always_ff @(posedge clk) begin
    en1_q    <= sent_en;
    qpn1_q   <= sent_qpn;
    bytes1_q <= sent_bytes + 13'(OVERHEAD);
    en2_q    <= en1_q;
    qpn2_q   <= qpn1_q;
    total2_q <= total;
    limit2_q <= limit1;
    if (en1_q) counted_q[qpn1_q] <= 1'b1;
    if (rd_en) engine_counted_q <= counted_q[rd_qpn] || (en1_q && qpn1_q == rd_qpn);
    if (rst) begin
      en1_q     <= 1'b0;
      en2_q     <= 1'b0;
      counted_q <= '0;
    end
  end

endmodule
