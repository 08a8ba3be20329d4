// rnic_tx_steps: says, cycle by cycle, which piece of which line goes where in which frame.
//
// One step per cycle. A step takes at most one line, which ends at most one beat further, and
// completes at most one beat; so a frame takes as many cycles as it has beats, one more for each
// further segment, and one more when the first line ends inside the first beat of a short header.
// Nothing is known of the data but that it is there. A frame starts when its room is there.
`include "tx.svh"
`include "assert.svh"

module rnic_tx_steps #(
  parameter int ROOM_W = 10
) (
  input  logic                  clk,
  input  logic                  rst,

  // Segments, and the measures of each frame
  input  logic [TX_SEGMENT_W-1:0] s_seg_data,
  input  logic                  s_seg_valid,
  output logic                  s_seg_ready,
  input  logic [TX_FRAME_W-1:0]  s_frame_data,
  input  logic                  s_frame_valid,
  output logic                  s_frame_ready,

  // Lines: in the cycle after the pop they are at the align stage
  input  logic                  line_valid,
  output logic                  line_pop_en,
  output logic                  inline_rd_en,
  output logic [5:0]            inline_rd_slot,
  output logic [1:0]            inline_rd_block,
  output logic                  inline_free_en,
  output logic [5:0]            inline_free_slot,

  // Room in the frame buffer, and for a result
  input  logic [ROOM_W-1:0]     room,
  output logic                  take_en,
  output logic [6:0]            take_beats,
  input  logic                  result_room,

  // What to do
  output logic [TX_STEP_W-1:0]  m_step_data,
  output logic                  m_step_en
);

  tx_segment_t seg;
  tx_frame_t   frame;

  assign seg   = s_seg_data;
  assign frame = s_frame_data;

  // Where we are
  logic        seg_fresh_q;   // nothing of the segment has been taken
  logic [12:0] seg_left_q;
  logic [1:0]  block_q;
  logic        pkt_fresh_q;   // nothing of the packet has been done
  logic [6:0]  pos_q;         // where the next byte goes, from the current beat's first byte
  logic [12:0] bytes_q;       // of the frame, from the current beat's first byte
  logic [6:0]  beats_q;
  logic        bad_q;
  logic [1:0]  fault_q;

  logic [5:0]  off;
  logic [12:0] seg_left;
  logic [1:0]  block;
  logic [6:0]  pos;
  logic [12:0] bytes;
  logic [6:0]  beats;
  logic        bad;
  logic [1:0]  fault;

  assign off      = seg_fresh_q ? seg.off : 6'd0;
  assign seg_left = seg_fresh_q ? seg.len : seg_left_q;
  assign block    = seg_fresh_q ? 2'd0 : block_q;
  assign pos      = pkt_fresh_q ? frame.hdr : pos_q;
  assign bytes    = pkt_fresh_q ? frame.bytes : bytes_q;
  assign beats    = pkt_fresh_q ? frame.beats : beats_q;
  assign bad      = seg.bad || (!pkt_fresh_q && bad_q);

  always_comb begin
    fault = seg.fault;
    if (!pkt_fresh_q && fault_q != TX_FAULT_NONE) fault = fault_q;
  end

  // May anything happen?
  logic may_start;
  logic may_step;

  assign may_start = result_room
                     && (!seg.frame || (s_frame_valid && room >= ROOM_W'(frame.beats)));
  assign may_step  = s_seg_valid && (!pkt_fresh_q || may_start);

  // What happens
  logic [6:0] to_end;     // bytes from the offset to the end of the line
  logic [6:0] size;
  logic [7:0] reach;      // where the piece ends
  logic       usable;
  logic       take;
  logic       seg_done;
  logic       pkt_done;   // no more payload comes
  logic [7:0] next_pos;
  logic       emit;
  logic       last;
  logic       step_en;
  logic       seg_pop;

  assign to_end   = 7'd64 - 7'(off);
  assign size     = seg_left < 13'(to_end) ? seg_left[6:0] : to_end;
  assign reach    = 8'(pos) + 8'(size);
  assign usable   = seg.frame && !seg.bad && seg_left != '0 && reach <= 8'd128;
  assign take     = usable && (seg.inl || line_valid);
  assign seg_done = seg.bad || !seg.frame || seg_left == '0
                    || (take && seg_left == 13'(size));
  assign pkt_done = seg_done && seg.last;
  assign next_pos = take ? reach : 8'(pos);
  assign emit     = seg.frame && (next_pos >= 8'd64 || pkt_done);
  assign last     = emit && pkt_done && (bytes <= 13'd64 || bad);
  assign step_en  = may_step && (take || emit || seg_done);
  assign seg_pop  = seg_done && (!seg.last || !seg.frame || last);

  assign s_seg_ready   = step_en && seg_pop;
  assign s_frame_ready = step_en && pkt_fresh_q && seg.frame;
  assign take_en       = s_frame_ready;
  assign take_beats    = frame.beats;

  assign line_pop_en      = step_en && take && !seg.inl;
  assign inline_rd_en     = step_en && take && seg.inl;
  assign inline_rd_slot   = seg.slot;
  assign inline_rd_block  = block;
  assign inline_free_en   = s_seg_ready && seg.inl;
  assign inline_free_slot = seg.slot;

  always_ff @(posedge clk) begin
    if (step_en) begin
      seg_fresh_q <= seg_pop || (seg_fresh_q && !take);
      seg_left_q  <= take ? seg_left - 13'(size) : seg_left;
      block_q     <= take ? block + 2'd1 : block;
      pkt_fresh_q <= seg_pop && seg.last;
      pos_q       <= next_pos[6:0];
      if (emit) pos_q <= next_pos >= 8'd64 ? 7'(next_pos - 8'd64) : 7'd0;
      bytes_q     <= emit ? bytes - 13'd64 : bytes;
      beats_q     <= beats;
      bad_q       <= bad;
      fault_q     <= fault;
    end
    if (rst) begin
      seg_fresh_q <= 1'b1;
      pkt_fresh_q <= 1'b1;
    end
  end

  // The step, one cycle later: together with its line
  tx_step_t    step;
  logic [12:0] before_icrc;

  assign before_icrc = bytes - 13'd4;

  always_comb begin
    step.ticket = seg.ticket;
    step.fault  = fault;
    step.bad    = bad;
    step.done   = seg_pop && seg.last;
    step.v6     = frame.v6;
    step.vlan   = frame.vlan;
    step.beats  = beats;
    step.covered = before_icrc[5:0];
    step.icrc   = bytes > 13'd4 && bytes < 13'd68;
    step.count  = last && !bad ? bytes[6:0] : 7'd64;
    step.last   = last;
    step.emit   = emit;
    step.start  = pkt_fresh_q && seg.frame;
    step.rot    = pos[5:0] - off;
    step.size   = size;
    step.pos    = pos;
    step.inl    = seg.inl;
    step.take   = take;
  end

  always_ff @(posedge clk) begin
    m_step_data <= step;
    m_step_en   <= step_en;
    if (rst) m_step_en <= 1'b0;
  end

  `RNIC_ASSERT(payload_as_long_as_promised, !(step_en && last && !bad) || bytes >= 13'(next_pos))

endmodule
