// rnic_tx_payload: asks the host for the bytes of each checked segment.
//
// One segment per cycle while each is one host read; one that crosses a 4 KiB boundary takes two.
// Room in the landing buffer is taken before the read is asked for. A segment that failed, the rest
// of its packet, and later packets of its queue pair ask for nothing and go on marked bad. So does a
// request whose queue pair has been sent back since it was made: it will be sent again.
`include "streams.svh"
`include "codes.svh"
`include "wire.svh"
`include "tx.svh"

module rnic_tx_payload #(
  parameter int LINES = 512
) (
  input  logic                      clk,
  input  logic                      rst,

  // Checked segments
  input  logic [MEM_RSP_W-1:0]      s_rsp_data,
  input  logic [TX_PACKET_W-1:0]    s_rsp_user,
  input  logic                      s_rsp_valid,
  output logic                      s_rsp_ready,

  // Poison of the segment's queue pair, setting it, and wiping that of an earlier epoch
  output logic [TX_TICKET_W-1:0]    poison_ticket,
  input  logic [1:0]                poison,
  input  logic                      poison_old,
  output logic                      poison_set_en,
  output logic                      poison_wipe_en,

  // The epoch that the queue pair is in
  input  logic [2:0]                epoch,

  // Host reads, and room for their lines
  output logic [DMA_READ_REQ_W-1:0] m_dma_data,
  output logic                      m_dma_valid,
  input  logic                      m_dma_ready,
  input  logic [$clog2(LINES):0]    room,
  output logic                      reserve_en,
  output logic [6:0]                reserve_lines,

  // Every segment, to the align stage
  output logic [TX_SEGMENT_W-1:0]     m_seg_data,
  output logic                      m_seg_valid,
  input  logic                      m_seg_ready
);

  mem_rsp_t   rsp;
  tx_packet_t pkt;
  mem_req_t   mem;

  assign rsp = s_rsp_data;
  assign pkt = s_rsp_user;
  assign mem = pkt.mem;

  // Whose it is: said in the first beat of the packet
  tx_ticket_t ticket;
  tx_ticket_t first_ticket;
  tx_ticket_t ticket_q;
  logic       is_ack;
  logic [7:0] syndrome;

  assign is_ack   = pkt.response && pkt.opcode == OPCODE_RC_ACKNOWLEDGE;
  assign syndrome = pkt.syndrome;

  always_comb begin
    first_ticket.ack_class = TX_CLASS_OTHER;
    if (is_ack && syndrome[6:5] == AETH_TYPE_ACK)      first_ticket.ack_class = TX_CLASS_ACK;
    else if (is_ack && syndrome[6:5] == AETH_TYPE_RNR) first_ticket.ack_class = TX_CLASS_RNR;
    else if (is_ack)                                   first_ticket.ack_class = TX_CLASS_NAK;
    first_ticket.exempt   = pkt.opcode == OPCODE_CNP
                         || (is_ack && (syndrome == SYNDROME_NAK_REMOTE_ACCESS
                                        || syndrome == SYNDROME_NAK_REMOTE_OPERATION));
    first_ticket.again    = pkt.again;
    first_ticket.local_op = pkt.local_op;
    first_ticket.response = pkt.response;
    first_ticket.psn      = pkt.psn;
    first_ticket.epoch    = pkt.epoch;
    first_ticket.msg_idx  = pkt.msg_idx;
    first_ticket.qpn      = pkt.qpn;
  end

  assign ticket        = pkt.first ? first_ticket : ticket_q;
  assign poison_ticket = ticket;

  // What becomes of the segment; one that is refused poisons those behind it in its packet, too. A
  // local operation was done on the way here, and will not be done again: nothing stops its word.
  logic       request;
  logic       stale;
  logic       stale_q;
  logic       poisoned;
  logic       refused;
  logic       bad;
  logic       reads;
  logic [1:0] fault;

  assign request  = !ticket.response && !ticket.local_op;
  assign stale    = request && (ticket.epoch != epoch || (stale_q && !pkt.first));
  assign poisoned = ticket.response ? poison[1] && !ticket.exempt : poison[0] && request;
  assign refused  = !rsp.ok || rsp.bus_error;
  assign bad      = stale || poisoned || refused;
  assign reads    = !bad && !ticket.local_op && mem.kind == SEG_KIND_KEY && mem.length != '0;

  always_comb begin
    fault = TX_FAULT_NONE;
    if (stale)              fault = TX_FAULT_STALE;
    else if (rsp.bus_error) fault = TX_FAULT_BUS;
    else if (!rsp.ok)       fault = TX_FAULT_KEY;
  end

  // Where it lies: with a second page the first piece ends at a page's end, so lines are whole
  logic [63:0] addr0;
  logic [12:0] to_boundary;
  logic [12:0] size0;
  logic [12:0] lines_up;
  logic        crosses;

  assign addr0       = rsp.addr0;
  assign to_boundary = 13'd4096 - 13'(addr0[11:0]);
  assign crosses     = rsp.len0 > to_boundary;
  assign size0       = crosses ? to_boundary : rsp.len0;
  assign lines_up    = 13'(addr0[5:0]) + mem.length + 13'd63;

  // Take it when everything it needs is free
  logic job_ready;
  logic room_ok;
  logic take;

  assign reserve_lines = lines_up[12:6];
  assign room_ok       = !reads || room >= ($clog2(LINES) + 1)'(reserve_lines);
  assign take          = s_rsp_valid && room_ok && job_ready && m_seg_ready;
  assign s_rsp_ready   = take;
  assign reserve_en    = take && reads;

  assign poison_set_en  = take && refused && !poisoned && !stale
                       && (rsp.bus_error || !ticket.again);
  assign poison_wipe_en = take && request && poison_old && !stale;

  always_ff @(posedge clk) begin
    if (take) ticket_q <= ticket;
    if (take) stale_q  <= stale;
  end

  // Up to two reads
  logic          first_q;
  logic          second_q;
  dma_read_req_t now_q;
  dma_read_req_t next_q;

  assign m_dma_valid = first_q;
  assign m_dma_data  = now_q;
  assign job_ready   = !first_q || (m_dma_ready && !second_q);

  always_ff @(posedge clk) begin
    if (m_dma_valid && m_dma_ready) begin
      now_q    <= next_q;
      first_q  <= second_q;
      second_q <= 1'b0;
    end
    if (take) begin
      now_q.addr    <= addr0;
      now_q.length  <= size0;
      next_q.addr   <= crosses ? addr0 + 64'(size0) : rsp.addr1;
      next_q.length <= crosses ? rsp.len0 - size0 : rsp.len1;
      first_q       <= reads;
      second_q      <= reads && (crosses || rsp.len1 != '0);
    end
    if (rst) begin
      first_q  <= 1'b0;
      second_q <= 1'b0;
    end
  end

  // To the align stage
  tx_segment_t seg;

  always_comb begin
    seg.ticket = ticket;
    seg.fault  = fault;
    seg.bad    = bad;
    seg.frame  = !ticket.local_op;
    seg.inl    = mem.kind == SEG_KIND_INLINE;
    seg.slot   = pkt.inline_slot;
    seg.off    = mem.kind == SEG_KIND_INLINE ? 6'd32 : addr0[5:0];
    seg.len    = mem.kind == SEG_KIND_NONE ? 13'd0 : mem.length;
    seg.last   = pkt.last;
    seg.first  = pkt.first;
  end

  assign m_seg_data  = seg;
  assign m_seg_valid = take;

endmodule
