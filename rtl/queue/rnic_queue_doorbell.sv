// rnic_queue_doorbell: writes to the doorbell page become ring updates and pushed WQEs.
//
// A doorbell is a full 8-byte lane at its place in the first line of the page; several lanes of
// a beat are served one per cycle, lowest first. A push is a full line at PUSH_OFFSET + 64 * qpn.
// Whatever else touches the page is answered SLVERR and has no effect; numbers out of range are
// dropped. A write is answered when its last beat is taken: updates leave in the order of the
// writes. One doorbell per cycle.
`include "layouts.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_queue_doorbell #(
  parameter int QP_COUNT  = 256,
  parameter int SRQ_COUNT = 16,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16
) (
  input  logic                     clk,
  input  logic                     rst,

  // Doorbell page, as the host sees it
  input  logic [3:0]               s_axi_db_awid,
  input  logic [19:0]              s_axi_db_awaddr,
  input  logic [7:0]               s_axi_db_awlen,
  input  logic [2:0]               s_axi_db_awsize,
  input  logic [1:0]               s_axi_db_awburst,
  input  logic                     s_axi_db_awvalid,
  output logic                     s_axi_db_awready,
  input  logic [511:0]             s_axi_db_wdata,
  input  logic [63:0]              s_axi_db_wstrb,
  input  logic                     s_axi_db_wlast,
  input  logic                     s_axi_db_wvalid,
  output logic                     s_axi_db_wready,
  output logic [3:0]               s_axi_db_bid,
  output logic [1:0]               s_axi_db_bresp,
  output logic                     s_axi_db_bvalid,
  input  logic                     s_axi_db_bready,
  input  logic [3:0]               s_axi_db_arid,
  input  logic [7:0]               s_axi_db_arlen,
  input  logic                     s_axi_db_arvalid,
  output logic                     s_axi_db_arready,
  output logic [3:0]               s_axi_db_rid,
  output logic [511:0]             s_axi_db_rdata,
  output logic [1:0]               s_axi_db_rresp,
  output logic                     s_axi_db_rlast,
  output logic                     s_axi_db_rvalid,
  input  logic                     s_axi_db_rready,

  // Send queues: a doorbell, or a pushed WQE with its block
  output logic                     m_sq_push,
  output logic [RING_UPDATE_W-1:0] m_sq_data,
  output logic [511:0]             m_sq_block,
  output logic                     m_sq_valid,
  input  logic                     m_sq_ready,

  // The other rings
  output logic [RING_UPDATE_W-1:0] m_rq_data,
  output logic                     m_rq_valid,
  input  logic                     m_rq_ready,
  output logic [CQ_UPDATE_W-1:0]   m_cq_data,
  output logic                     m_cq_valid,
  input  logic                     m_cq_ready,
  output logic [RING_UPDATE_W-1:0] m_eq_data,
  output logic                     m_eq_valid,
  input  logic                     m_eq_ready,

  // Events: a beat was refused; a number is out of range
  output logic                     ev_refused_en,
  output logic                     ev_range_en
);

  localparam logic [1:0] OKAY   = 2'd0;
  localparam logic [1:0] SLVERR = 2'd2;
  localparam logic [1:0] FIXED  = 2'd0;
  localparam logic [1:0] WRAP   = 2'd2;

  localparam int LANE_SQ  = 32'(DOORBELL_SQ) / 8;
  localparam int LANE_RQ  = 32'(DOORBELL_RQ) / 8;
  localparam int LANE_SRQ = 32'(DOORBELL_SRQ) / 8;
  localparam int LANE_CQ  = 32'(DOORBELL_CQ) / 8;
  localparam int LANE_EQ  = 32'(DOORBELL_EQ) / 8;

  // Write address

  logic        aw_valid_q;
  logic [3:0]  aw_id_q;
  logic [19:0] aw_addr_q;
  logic [2:0]  aw_size_q;
  logic [1:0]  aw_burst_q;
  logic        aw_fire;
  logic        w_fire;
  logic [19:0] step;

  assign aw_fire          = s_axi_db_awvalid && s_axi_db_awready;
  assign w_fire           = s_axi_db_wvalid && s_axi_db_wready;
  assign s_axi_db_awready = !aw_valid_q || (w_fire && s_axi_db_wlast);
  assign step             = 20'd1 << aw_size_q;

  always_ff @(posedge clk) begin
    if (w_fire && aw_burst_q != FIXED) aw_addr_q <= (aw_addr_q & ~(step - 1'b1)) + step;
    if (aw_fire) begin
      aw_id_q    <= s_axi_db_awid;
      aw_addr_q  <= s_axi_db_awaddr;
      aw_size_q  <= s_axi_db_awsize;
      aw_burst_q <= s_axi_db_awburst;
    end
    aw_valid_q <= aw_fire || (aw_valid_q && !(w_fire && s_axi_db_wlast));
    if (rst) aw_valid_q <= 1'b0;
  end

  // A beat: is it doorbells, a push, nothing, or wrong?

  logic [7:0] lane_any;
  logic [7:0] lane_all;
  logic       in_page;
  logic       in_push;
  logic       beat_ok;

  always_comb begin
    for (int i = 0; i < 8; i++) begin
      lane_any[i] = s_axi_db_wstrb[8*i+:8] != 8'h00;
      lane_all[i] = s_axi_db_wstrb[8*i+:8] == 8'hFF;
    end
  end

  assign in_page = aw_addr_q[19:6] == '0;
  assign in_push = aw_addr_q[19:16] == 4'(PUSH_OFFSET >> 16);
  assign beat_ok = lane_any == '0
                || (aw_burst_q != WRAP
                    && ((in_page && lane_any == lane_all && lane_any[7:LANE_EQ+1] == '0)
                        || (in_push && lane_all == '1)));

  logic                 push_q;
  logic [LANE_EQ:0]     lanes_q;
  logic [511:0]         data_q;
  logic [9:0]           line_q;
  logic                 busy;
  logic                 done;
  logic                 b_free;

  assign busy            = push_q || lanes_q != '0;
  assign b_free          = !s_axi_db_bvalid || s_axi_db_bready;
  assign s_axi_db_wready = aw_valid_q && (!busy || done) && b_free;

  logic [LANE_EQ:0] lane;    // the one that is served, one-hot
  logic             leave;

  assign lane = lanes_q & (~lanes_q + 1'b1);
  assign done = leave && (push_q || lanes_q == lane);

  always_ff @(posedge clk) begin
    if (leave) begin
      push_q  <= 1'b0;
      lanes_q <= lanes_q & ~lane;
    end
    if (w_fire) begin
      push_q  <= beat_ok && in_push && lane_all == '1;
      lanes_q <= beat_ok && in_page ? lane_all[LANE_EQ:0] : '0;
      data_q  <= s_axi_db_wdata;
      line_q  <= aw_addr_q[15:6];
    end
    if (rst) begin
      push_q  <= 1'b0;
      lanes_q <= '0;
    end
  end

  // Write response

  logic bad_q;  // an earlier beat of the burst was refused

  always_ff @(posedge clk) begin
    if (w_fire) bad_q <= (bad_q || !beat_ok) && !s_axi_db_wlast;
    if (w_fire && s_axi_db_wlast) begin
      s_axi_db_bid   <= aw_id_q;
      s_axi_db_bresp <= bad_q || !beat_ok ? SLVERR : OKAY;
    end
    s_axi_db_bvalid <= (w_fire && s_axi_db_wlast) || (s_axi_db_bvalid && !s_axi_db_bready);
    if (rst) begin
      bad_q           <= 1'b0;
      s_axi_db_bvalid <= 1'b0;
    end
  end

  assign ev_refused_en = w_fire && !beat_ok;

  // Serve one lane, or the push

  logic [63:0]     value;
  queue_doorbell_t ring;
  cq_doorbell_t    cq;
  ring_update_t    sq_update;
  ring_update_t    rq_update;
  ring_update_t    eq_update;
  cq_update_t      cq_update;
  sq_wqe_t         pushed;
  logic [23:0]     number;
  logic            known;
  logic            taken;

  always_comb begin
    value = '0;
    for (int i = 0; i <= LANE_EQ; i++) begin
      if (lane[i]) value |= data_q[64*i+:64];
    end
  end

  assign ring   = value;
  assign cq     = value;
  assign pushed = data_q;
  assign number = push_q ? 24'(line_q) : ring.number;

  always_comb begin
    known = 1'b0;
    taken = 1'b0;
    if (push_q || lane[LANE_SQ]) begin
      known = number < 24'(QP_COUNT);
      taken = m_sq_ready;
    end else if (lane[LANE_RQ]) begin
      known = number < 24'(QP_COUNT);
      taken = m_rq_ready;
    end else if (lane[LANE_SRQ]) begin
      known = number < 24'(SRQ_COUNT);
      taken = m_rq_ready;
    end else if (lane[LANE_CQ]) begin
      known = number < 24'(CQ_COUNT);
      taken = m_cq_ready;
    end else if (lane[LANE_EQ]) begin
      known = number < 24'(EQ_COUNT);
      taken = m_eq_ready;
    end
  end

  assign leave       = busy && (taken || !known);
  assign ev_range_en = busy && !known;

  always_comb begin
    sq_update.number = number[15:0];
    sq_update.index  = push_q ? pushed.index : ring.index;
    // SRQs follow the queue pairs in the numbering of receive rings.
    rq_update.number = lane[LANE_SRQ] ? number[15:0] + 16'(QP_COUNT) : number[15:0];
    rq_update.index  = ring.index;
    eq_update.number = number[15:0];
    eq_update.index  = ring.index;
    cq_update.cqn     = number[15:0];
    cq_update.arm     = cq.arm;
    cq_update.arm_seq = cq.arm_seq;
    cq_update.index   = cq.index;
  end

  assign m_sq_push  = push_q;
  assign m_sq_data  = sq_update;
  assign m_sq_block = data_q;
  assign m_sq_valid = known && (push_q || lane[LANE_SQ]);
  assign m_rq_data  = rq_update;
  assign m_rq_valid = known && !push_q && (lane[LANE_RQ] || lane[LANE_SRQ]);
  assign m_cq_data  = cq_update;
  assign m_cq_valid = known && !push_q && lane[LANE_CQ];
  assign m_eq_data  = eq_update;
  assign m_eq_valid = known && !push_q && lane[LANE_EQ];

  // Reads are answered, with an error

  logic [7:0] r_left_q;

  assign s_axi_db_arready = !s_axi_db_rvalid;
  assign s_axi_db_rdata   = '0;
  assign s_axi_db_rresp   = SLVERR;
  assign s_axi_db_rlast   = r_left_q == '0;

  always_ff @(posedge clk) begin
    if (s_axi_db_arvalid && s_axi_db_arready) begin
      s_axi_db_rid    <= s_axi_db_arid;
      s_axi_db_rvalid <= 1'b1;
      r_left_q        <= s_axi_db_arlen;
    end
    if (s_axi_db_rvalid && s_axi_db_rready) begin
      s_axi_db_rvalid <= !s_axi_db_rlast;
      r_left_q        <= r_left_q - 1'b1;
    end
    if (rst) s_axi_db_rvalid <= 1'b0;
  end

  // The length is in wlast, too.
  logic unused_len;
  assign unused_len = ^{s_axi_db_awlen};

endmodule
