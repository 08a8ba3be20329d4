// rnic_tx_align: joins headers and payload pieces into one run of bytes.
//
// Two cycles from step to beat, a step in every cycle, never held up. The line is rotated to its
// place and merged into the current beat and the next; the first step of a frame starts from the
// header image. Bytes nobody wrote are zero: pad, and room for the ICRC.
`include "streams.svh"
`include "tx.svh"
`include "assert.svh"

module rnic_tx_align (
  input  logic                 clk,
  input  logic                 rst,

  // Steps, each with its line
  input  logic [TX_STEP_W-1:0] s_step_data,
  input  logic                 s_step_en,
  input  logic [511:0]         line_data,
  input  logic                 line_error,
  input  logic [511:0]         inline_data,

  // Headers: there when a frame's first step reaches the merge
  input  logic [895:0]         s_image_data,
  input  logic                 s_image_valid,
  output logic                 s_image_ready,

  // A packet ends: may it be sent?
  output logic [TX_TICKET_W-1:0] end_ticket,
  output logic [1:0]           end_fault,
  output logic                 end_bad,
  output logic                 end_en,
  input  logic                 end_drop,

  // Beats, and what the ICRC stage and the frame buffer want to know
  output logic [TX_BEAT_W-1:0] m_beat,
  output logic                 m_beat_en,
  output logic                 m_start,
  output logic                 m_v6,
  output logic                 m_vlan,
  output logic                 m_icrc,
  output logic [5:0]           m_cover,
  output logic                 m_end_en,
  output logic                 m_end_drop,
  output logic [6:0]           m_end_beats,
  output logic [TX_TICKET_W-1:0] m_end_ticket
);

  // Rotate
  tx_step_t      now;
  logic [511:0]  line;
  logic [1023:0] twice;
  logic [7:0]    reach;
  logic [127:0]  place;

  assign now   = s_step_data;
  assign line  = now.inl ? inline_data : line_data;
  assign twice = {line, line} << {now.rot, 3'b000};

  assign reach = 8'(now.pos) + 8'(now.size);
  assign place = now.take ? (~128'd0 << now.pos) & ~(~128'd0 << reach) : 128'd0;

  tx_step_t     step_q;
  logic         step_en_q;
  logic         error_q;
  logic [511:0] rotated_q;
  logic [127:0] place_q;

  always_ff @(posedge clk) begin
    step_q    <= now;
    step_en_q <= s_step_en;
    error_q   <= now.take && !now.inl && line_error;
    rotated_q <= twice[1023:512];
    place_q   <= place;
    if (rst) step_en_q <= 1'b0;
  end

  // Merge
  logic [511:0] beat_q;
  logic [511:0] beyond_q;
  logic [511:0] base;
  logic [511:0] base2;
  logic [511:0] beat;
  logic [511:0] beyond;

  assign base   = step_q.start ? s_image_data[511:0] : beat_q;
  assign base2  = step_q.start ? {128'd0, s_image_data[895:512]} : beyond_q;

  for (genvar i = 0; i < 64; i++) begin : g_byte
    assign beat[8*i +: 8]   = place_q[i]      ? rotated_q[8*i +: 8] : base[8*i +: 8];
    assign beyond[8*i +: 8] = place_q[i + 64] ? rotated_q[8*i +: 8] : base2[8*i +: 8];
  end

  assign s_image_ready = step_en_q && step_q.start;

  always_ff @(posedge clk) begin
    if (step_en_q) begin
      beat_q   <= step_q.emit ? beyond : beat;
      beyond_q <= step_q.emit ? '0 : beyond;
    end
  end

  // Did a line of this packet come with an error?
  logic errors_q;  // of earlier steps
  logic errors;

  assign errors = error_q || errors_q;

  always_ff @(posedge clk) begin
    if (step_en_q) errors_q <= errors && !step_q.done;
    if (rst) errors_q <= 1'b0;
  end

  assign end_en     = step_en_q && step_q.done;
  assign end_ticket = step_q.ticket;
  assign end_bad    = step_q.bad || errors;

  always_comb begin
    end_fault = step_q.fault;
    if (errors && step_q.fault == TX_FAULT_NONE) end_fault = TX_FAULT_BUS;
  end

  // Hand out
  tx_beat_t out;

  always_comb begin
    out.data  = beat;
    out.count = step_q.count;
    out.last  = step_q.last;
    out.drop  = end_drop;
  end

  logic start_q;  // the frame's first beat has not been handed out
  logic v6_q;
  logic vlan_q;

  always_ff @(posedge clk) begin
    m_beat      <= out;
    m_beat_en   <= step_en_q && step_q.emit;
    m_start     <= step_q.start || start_q;
    m_v6        <= step_q.start ? step_q.v6 : v6_q;
    m_vlan      <= step_q.start ? step_q.vlan : vlan_q;
    m_icrc      <= step_q.icrc;
    m_cover     <= step_q.covered;
    m_end_en    <= step_en_q && step_q.emit && step_q.last;
    m_end_drop  <= end_drop;
    m_end_beats <= step_q.beats;
    m_end_ticket <= step_q.ticket;
    if (step_en_q) begin
      start_q <= (step_q.start || start_q) && !step_q.emit;
      if (step_q.start) begin
        v6_q   <= step_q.v6;
        vlan_q <= step_q.vlan;
      end
    end
    if (rst) begin
      m_beat_en <= 1'b0;
      m_end_en  <= 1'b0;
      start_q   <= 1'b0;
    end
  end

  `RNIC_ASSERT(headers_are_there_in_time, !s_image_ready || s_image_valid)

endmodule
