// rnic_rx_retire: tells the end of every frame when its last write response is there.
//
// Frames wait here from the key check on, moves (one record each) from their burst on, in order. A
// record of a burst leaves with its write response, that of an atomic with its result. The first fault
// of a frame counts. Room for 256 of each; one record per cycle.
`include "rx.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_rx_retire #(
  parameter int DEPTH = 256
) (
  input  logic         clk,
  input  logic         rst,

  // A frame before its first segment is checked
  input  rx_retire_t   s_frame_data,
  input  logic [1:0]   s_frame_side,   // RX_SIDE_*
  input  logic         s_frame_valid,
  output logic         s_frame_ready,

  // Its moves
  input  rx_record_t   s_record_data,
  input  logic         s_record_valid,
  output logic         s_record_ready,

  // Write responses
  input  logic         s_wdone_en,
  input  logic         s_wdone_error,

  // Results of atomics: the number that was there
  input  logic [63:0]  s_result_data,
  input  logic         s_result_error,
  input  logic         s_result_valid,
  output logic         s_result_ready,

  // Frames that are done
  output rx_done_t     m_req_done_data,
  output logic         m_req_done_valid,
  input  logic         m_req_done_ready,
  output rx_done_t     m_rsp_done_data,
  output logic         m_rsp_done_valid,
  input  logic         m_rsp_done_ready,

  // Event: a frame leaves
  output logic         leave_en
);

  rx_retire_t         frame;
  logic [1:0]         side;
  logic               frame_valid;
  rx_record_t         record;
  logic               record_valid;
  logic               error;
  logic               answered;
  logic               answer_room;
  logic               take;
  logic               out_free;

  stream_fifo #(.DATA_W(RX_RETIRE_W + 2), .DEPTH(DEPTH), .REGISTERED(1)) u_frames (
    .clk,
    .rst,
    .s_data  ({s_frame_side, s_frame_data}),
    .s_valid (s_frame_valid),
    .s_ready (s_frame_ready),
    .m_data  ({side, frame}),
    .m_valid (frame_valid),
    .m_ready (take && record.last),
    .count   ()
  );

  stream_fifo #(.DATA_W(RX_RECORD_W), .DEPTH(DEPTH)) u_records (
    .clk,
    .rst,
    .s_data  (s_record_data),
    .s_valid (s_record_valid),
    .s_ready (s_record_ready),
    .m_data  (record),
    .m_valid (record_valid),
    .m_ready (take),
    .count   ()
  );

  // Never more answers than records.
  stream_fifo #(.DATA_W(1), .DEPTH(DEPTH)) u_answers (
    .clk,
    .rst,
    .s_data  (s_wdone_error),
    .s_valid (s_wdone_en),
    .s_ready (answer_room),
    .m_data  (error),
    .m_valid (answered),
    .m_ready (take && record.write),
    .count   ()
  );

  assign take = record_valid && (answered || !record.write) && (s_result_valid || !record.atomic)
             && (!record.last || (frame_valid && out_free));

  assign s_result_ready = take && record.atomic;

  // The frame's fault so far, and the one that ends it

  logic [1:0] fault_q;
  logic [1:0] fault_now;

  always_comb begin
    fault_now = fault_q;
    if (fault_q == RX_FAULT_NONE) begin
      if (record.write && error)                 fault_now = RX_FAULT_BUS;
      else if (record.atomic && s_result_error) fault_now = RX_FAULT_BUS;
      else                                      fault_now = record.fault;
    end
  end

  // Out

  logic       valid_q;
  logic [1:0] side_q;
  rx_done_t   done_q;
  logic       taken;

  always_comb begin
    case (side_q)
      RX_SIDE_REQ: taken = m_req_done_ready;
      RX_SIDE_RSP: taken = m_rsp_done_ready;
      default:     taken = 1'b1;
    endcase
  end

  assign out_free = !valid_q || taken;

  always_ff @(posedge clk) begin
    if (take) fault_q <= record.last ? RX_FAULT_NONE : fault_now;
    if (out_free) begin
      valid_q       <= take && record.last;
      side_q        <= side;
      done_q.fault  <= fault_now;
      done_q.retire <= frame;
      done_q.original <= record.atomic ? s_result_data : '0;
    end
    if (rst) begin
      valid_q <= 1'b0;
      fault_q <= RX_FAULT_NONE;
    end
  end

  assign m_req_done_data  = done_q;
  assign m_req_done_valid = valid_q && side_q == RX_SIDE_REQ;
  assign m_rsp_done_data  = done_q;
  assign m_rsp_done_valid = valid_q && side_q == RX_SIDE_RSP;
  assign leave_en         = valid_q && taken;

  `RNIC_ASSERT(no_answer_is_lost, !s_wdone_en || answer_room)

endmodule
