// rnic_cq_entry: completions on their way to host memory, and what follows their write response.
//
// An entry is written through the DMA write engine that carries payload too, so the host sees it
// behind its data. Behind the response an armed queue's event leaves (m_event), or, when the
// write failed, word of the queue that is broken and the QP whose completion is lost (m_broken).
// Write responses cannot wait: there is room for what each of them may release.
`include "streams.svh"
`include "layouts.svh"
`include "codes.svh"
`include "assert.svh"

module rnic_cq_entry (
  input  logic                        clk,
  input  logic                        rst,

  // A completion, its slot and phase, and whether it fires; only with room
  input  logic                        write_en,
  input  logic [CQE_REQ_W-1:0]        write_cqe,
  input  logic [63:0]                 write_addr,
  input  logic                        write_phase,
  input  logic                        write_fires,
  input  logic [7:0]                  write_eqn,
  input  logic [1:0]                  write_arm_seq,
  output logic                        room,
  output logic                        idle,

  // DMA write
  output logic [DMA_WRITE_REQ_W-1:0]  m_wreq_data,
  output logic                        m_wreq_valid,
  input  logic                        m_wreq_ready,
  output logic [DMA_WRITE_DATA_W-1:0] m_wdata_data,
  output logic                        m_wdata_valid,
  input  logic                        m_wdata_ready,
  input  logic                        s_wdone_en,
  input  logic                        s_wdone_error,

  // Behind the response
  output logic [EVENT_REQ_W-1:0]      m_event_data,
  output logic                        m_event_valid,
  input  logic                        m_event_ready,
  output logic [15:0]                 m_broken_cqn,
  output logic [15:0]                 m_broken_qpn,
  output logic                        m_broken_valid,
  input  logic                        m_broken_ready
);

  // ------------------------------------------------------------------ the entry

  cqe_req_t        cqe;
  cqe_t            entry;
  logic [255:0]    entry_bits;
  dma_write_req_t  wreq;
  dma_write_data_t wdata;
  logic            wreq_room;
  logic            wdata_room;
  logic            behind_room;

  assign cqe        = write_cqe;
  assign entry_bits = entry;

  always_comb begin
    entry           = '0;
    entry.wr_id     = cqe.wr_id;
    entry.wqe_index = cqe.wqe_index;
    entry.qpn       = {8'd0, cqe.qpn};
    entry.opcode    = cqe.opcode;
    entry.byte_len  = cqe.byte_len;
    entry.imm       = cqe.imm;
    entry.status    = cqe.status;
    entry.flags     = cqe.flags;
    entry.syndrome  = cqe.syndrome;
    entry.phase     = write_phase;
  end

  assign wreq  = {7'd1, write_addr};
  assign wdata = {1'b1, write_addr[5] ? {32'hffff_ffff, 32'h0} : {32'h0, 32'hffff_ffff},
                  entry_bits, entry_bits};

  stream_fifo #(
    .DATA_W (DMA_WRITE_REQ_W),
    .DEPTH  (8)
  ) u_wreq (
    .clk,
    .rst,
    .s_data  (wreq),
    .s_valid (write_en),
    .s_ready (wreq_room),
    .m_data  (m_wreq_data),
    .m_valid (m_wreq_valid),
    .m_ready (m_wreq_ready),
    .count   ()
  );

  stream_fifo #(
    .DATA_W (DMA_WRITE_DATA_W),
    .DEPTH  (8)
  ) u_wdata (
    .clk,
    .rst,
    .s_data  (wdata),
    .s_valid (write_en),
    .s_ready (wdata_room),
    .m_data  (m_wdata_data),
    .m_valid (m_wdata_valid),
    .m_ready (m_wdata_ready),
    .count   ()
  );

  // ------------------------------------------------------------------ behind the write response

  typedef struct packed {
    logic        fire;
    logic [15:0] cqn;
    logic [15:0] qpn;
    logic [7:0]  eqn;
    logic [1:0]  arm_seq;
  } behind_t;
  localparam int BEHIND_W = 43;

  behind_t             behind;
  logic [BEHIND_W-1:0] behind_bits;
  logic [BEHIND_W-1:0] behind_in;
  logic                behind_valid;

  assign behind_in = {write_fires, cqe.cqn, cqe.qpn, write_eqn, write_arm_seq};
  assign behind = behind_bits;

  stream_fifo #(
    .DATA_W (BEHIND_W),
    .DEPTH  (128)
  ) u_behind (
    .clk,
    .rst,
    .s_data  (behind_in),
    .s_valid (write_en),
    .s_ready (behind_room),
    .m_data  (behind_bits),
    .m_valid (behind_valid),
    .m_ready (s_wdone_en),
    .count   ()
  );

  `RNIC_ASSERT(every_answer_has_its_write, !s_wdone_en || behind_valid)

  // A write that failed breaks its queue. Room for every write that may be unanswered.
  stream_fifo #(
    .DATA_W (32),
    .DEPTH  (128)
  ) u_broken (
    .clk,
    .rst,
    .s_data  ({behind.qpn, behind.cqn}),
    .s_valid (s_wdone_en && s_wdone_error),
    .s_ready (),
    .m_data  ({m_broken_qpn, m_broken_cqn}),
    .m_valid (m_broken_valid),
    .m_ready (m_broken_ready),
    .count   ()
  );

  // ------------------------------------------------------------------ the event

  event_req_t event_req;

  always_comb begin
    event_req            = '0;
    event_req.eqn        = behind.eqn;
    event_req.event_type = EVENT_TYPE_COMPLETION;
    event_req.number     = {8'd0, behind.cqn};
    event_req.detail     = {30'd0, behind.arm_seq};
  end

  stream_fifo #(
    .DATA_W (EVENT_REQ_W),
    .DEPTH  (128)
  ) u_event (
    .clk,
    .rst,
    .s_data  (event_req),
    .s_valid (s_wdone_en && behind.fire && !s_wdone_error),
    .s_ready (),
    .m_data  (m_event_data),
    .m_valid (m_event_valid),
    .m_ready (m_event_ready),
    .count   ()
  );

  // Events already released and still waiting count against new writes.
  logic [7:0] owed_q;
  logic       owe;
  logic       paid;
  assign owe  = write_en && write_fires;
  assign paid = (s_wdone_en && behind.fire && s_wdone_error) || (m_event_valid && m_event_ready);

  always_ff @(posedge clk) begin
    owed_q <= owed_q + {7'd0, owe} - {7'd0, paid};
    if (rst) owed_q <= '0;
  end

  assign room = wreq_room && wdata_room && behind_room && owed_q < 8'd120;
  assign idle = !m_wreq_valid && !m_wdata_valid && !behind_valid;

endmodule
