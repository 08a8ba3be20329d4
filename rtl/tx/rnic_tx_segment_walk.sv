// rnic_tx_segment_walk: turns a decided message into its records and its packets.
//
// SENDs and WRITEs are cut at the path MTU from the start of the message, and each packet where an
// SGE ends: one TxPacket beat per piece and cycle. A READ or atomic writes its SGEs, one per
// cycle, then is one packet. Records are written with the first beat, which is seen outside one
// cycle later.
//
// A QP may go to ERR between the look at its state and the record, and its flush may then have
// missed the record. So the state is read once more behind every record (`watch`), and the
// completer is told when it was ERR. In a long message the state is read in idle cycles too: the
// message ends behind the packet in progress when the QP may no longer send.
//
// A message that was started before has its records; of its packets, the first `skip` are left out.
// Before anything of it leaves the progress is read again, because it may have been acknowledged
// since it was looked at; its memory may then be somebody else's.
// A long message is given up between packets, to be resumed in another turn, when the completer
// wants the QP back, when the rate limiter holds it, or when it has had its quantum and other QPs
// wait; and it ends when it turns out to be acknowledged.
`include "codes.svh"
`include "layouts.svh"
`include "streams.svh"
`include "wire.svh"
`include "segment.svh"
`include "assert.svh"

module rnic_tx_segment_walk #(
  parameter int QUANTUM = 65536      // bytes
) (
  input  logic                     clk,
  input  logic                     rst,

  // Jobs, and the blocks of the coming ones
  input  logic [SEG_JOB_W-1:0]     s_job_data,
  input  logic                     s_job_valid,
  output logic                     s_job_ready,
  input  logic                     line_write_en,
  input  logic                     line_write_bank,
  input  logic [1:0]               line_write_number,
  input  logic [511:0]             line_write_data,

  // The rest of a message, given up
  output logic [SEG_YIELD_W-1:0]   m_yield_data,
  output logic                     m_yield_valid,
  input  logic                     m_yield_ready,
  input  logic                     recall,
  input  logic                     others,

  // What the completer publishes
  input  logic                     progress_en,
  input  logic [15:0]              progress_qpn,
  input  logic [15:0]              progress_tail,

  // Packets
  output logic [TX_PACKET_W-1:0]   m_pkt_data,
  output logic                     m_pkt_valid,
  input  logic                     m_pkt_ready,

  // Records for the completer, and its wake-up
  output logic                     msg_write_en,
  output logic                     msg_write_new,    // index of a message never started before
  output logic [15:0]              msg_write_qpn,
  output logic [15:0]              msg_write_index,
  output logic [MSG_RECORD_W-1:0]  msg_write_data,
  output logic                     read_write_en,
  output logic [15:0]              read_write_qpn,
  output logic [3:0]               read_write_slot,
  output logic [READ_RECORD_W-1:0] read_write_data,
  output logic                     sge_write_en,
  output logic [15:0]              sge_write_qpn,
  output logic [3:0]               sge_write_slot,
  output logic [2:0]               sge_write_number,
  output logic [SGE_W-1:0]         sge_write_data,
  output logic [15:0]              m_kick_data,
  output logic                     m_kick_valid,
  input  logic                     m_kick_ready,

  // Second look at the state: watch must be served in its cycle, poll may when nothing else is
  output logic [15:0]              watch_qpn,
  output logic                     watch_en,
  output logic                     poll_en,
  input  logic                     poll_taken,
  input  logic [QP_CONFIG_W-1:0]   qp_rd_cfg,
  input  logic [15:0]              progress_rd_tail,
  input  logic                     pace_rd_hold,

  // A read was asked for again from its middle
  output logic                     read_again_en,
  output logic [15:0]              read_again_qpn,

  // Packets, for the timers and the rate limiter: the first in this turn of the oldest message; one
  // that was sent before; one of a message that was started before
  output logic                     sent_en,
  output logic [15:0]              sent_qpn,
  output logic [12:0]              sent_bytes,
  output logic                     sent_oldest,
  output logic                     sent_again,
  output logic                     sent_replay,

  // A job is at work, for this QP; it ends in this cycle
  output logic                     busy,
  output logic [15:0]              busy_qpn,
  output logic                     done
);

  localparam int KICKS      = 8;
  localparam int KICKS_MOST = 4;  // then the state of four more may be on its way

  // The job

  seg_job_t      job_in;
  seg_job_t      job_q;
  sq_wqe_t       in_wqe;
  sq_wqe_t       wqe;
  fast_reg_wqe_t reg_wqe;
  logic [511:0]  in_head;
  logic [511:0]  head;
  sge_t          in_sge;
  logic          busy_q;
  logic          take;

  assign job_in  = s_job_data;
  assign in_head = job_in.head;
  assign in_wqe  = in_head;
  assign in_sge  = in_head[383:256];
  assign head    = job_q.head;
  assign wqe     = head;
  assign reg_wqe = head;

  logic          in_is_data;

  assign in_is_data  = job_in.kind == MSG_KIND_SEND || job_in.kind == MSG_KIND_WRITE;
  assign s_job_ready = !busy_q || (done && !m_yield_valid);
  assign take        = s_job_valid && s_job_ready;
  assign busy        = busy_q;
  assign busy_qpn    = job_q.qpn;

  always_ff @(posedge clk) begin
    if (take) job_q <= job_in;
    busy_q <= take || (busy_q && !done);
    if (rst) busy_q <= 1'b0;
  end

  // SGEs: the first comes with the job, the others from the bank

  logic [511:0] lines [8];
  logic [511:0] line;
  logic [3:0]   number_q;   // of the SGE behind the current one
  logic [3:0]   at;         // its place: the head has two SGEs in its upper half
  logic [127:0] line_sge;
  sge_t         next_sge;
  sge_t         sge_q;      // the current one: address and length of what is left
  sge_t         sge_d;
  logic         next;       // the current one is done with
  logic [12:0]  piece;

  assign at   = number_q + 4'd2;
  assign line = lines[{job_q.bank, at[3:2]}];

  always_comb begin
    case (at[1:0])
      2'd0:    line_sge = line[127:0];
      2'd1:    line_sge = line[255:128];
      2'd2:    line_sge = line[383:256];
      default: line_sge = line[511:384];
    endcase
  end

  assign next_sge = line_sge;

  always_ff @(posedge clk) begin
    if (line_write_en) lines[{line_write_bank, line_write_number}] <= line_write_data;
  end

  // What kind of work it is

  logic is_data;
  logic is_read;
  logic is_local;
  logic is_silent;

  assign is_data   = job_q.kind == MSG_KIND_SEND || job_q.kind == MSG_KIND_WRITE;
  assign is_read   = job_q.kind == MSG_KIND_READ || job_q.kind == MSG_KIND_ATOMIC;
  assign is_local  = job_q.kind == MSG_KIND_LOCAL;
  assign is_silent = job_q.kind == MSG_KIND_FLUSH || job_q.kind == MSG_KIND_BAD;

  // Progress within the message

  logic        fresh_q;       // the records are not written yet
  logic        starts_q;      // the next beat is the first of its packet
  logic        opens_q;       // the packet is the first of the message
  logic [31:0] left_q;        // bytes of the message
  logic [12:0] packet_q;      // bytes of the whole packet
  logic [12:0] packet_left_q; // bytes of it that have no beat yet
  logic        ends_q;        // the packet is the last of the message
  logic [23:0] psn_q;
  logic [5:0]  count_q;       // packets of the message before this one, modulo 64
  logic        asks_ack;
  logic        abort_q;
  logic [3:0]  sges_q;        // SGEs of a read that were written
  logic [31:0] seek_q;        // bytes of SGEs to pass over
  logic        seeking;
  logic        seek_ends;     // in the current SGE
  logic [16:0] spent_q;       // bytes of this turn
  logic        sent_q;        // a packet of this turn has left
  logic        hold_q;        // by the rate limiter
  logic        retired_q;     // acknowledged meanwhile
  logic        asked_q;       // a replay: for the progress
  logic        looked_q;      // and it is known
  logic        yields;

  logic        out_free;
  logic        kick_room;
  logic        empty_sge;
  logic        piece_ends_packet;
  logic        beat;
  logic        quit;
  logic        last_sge;
  logic        step_sge;      // a read's SGE is done with
  logic        record;

  assign out_free = !m_pkt_valid || m_pkt_ready;

  assign piece = !job_q.is_inline && sge_q.length < 32'(packet_left_q) ? sge_q.length[12:0]
                                                                     : packet_left_q;

  assign piece_ends_packet = piece == packet_left_q;
  assign empty_sge = is_data && !job_q.is_inline && left_q != '0 && sge_q.length == '0;
  assign last_sge  = number_q >= wqe.num_sge;
  assign quit      = busy_q && !is_silent && starts_q && (sent_q || job_q.replay)
                  && (abort_q || retired_q);
  assign yields    = busy_q && is_data && starts_q && sent_q && !abort_q && !retired_q
                  && (recall || hold_q || (others && spent_q >= 17'(QUANTUM)));
  assign seeking   = seek_q != '0;
  assign seek_ends = seek_q < sge_q.length;

  // A beat leaves; only the first of a message may have to wait for room for a kick.
  assign beat = busy_q && out_free && !quit && !yields && !seeking && (!fresh_q || kick_room)
             && (!job_q.replay || looked_q)
             && ((is_data && !empty_sge) || is_local || (is_read && (last_sge || job_q.replay)));

  assign record   = fresh_q && (beat || (busy_q && is_silent && kick_room));
  assign step_sge = busy_q && is_read && !job_q.replay && (beat || !last_sge);
  assign done     = quit || (yields && m_yield_ready) || (is_silent && record)
                 || (beat && (!is_data || (piece_ends_packet && ends_q)));

  // Sizes of the next packet

  logic [12:0] mtu;
  logic [12:0] in_mtu;
  logic [31:0] after;
  logic [31:0] in_skip;
  logic [31:0] in_length;
  logic [31:0] step;

  assign mtu       = 13'd128 << job_q.path_mtu;
  assign in_mtu    = 13'd128 << job_in.path_mtu;
  assign in_skip   = 32'(job_in.skip) << (4'd7 + 4'(job_in.path_mtu));
  assign in_length = in_wqe.length - in_skip;
  assign after     = left_q - 32'(piece);

  assign next = (beat && is_data && piece == sge_q.length[12:0] && sge_q.length[31:13] == '0)
             || (busy_q && empty_sge && !seeking) || (busy_q && seeking && !seek_ends) || step_sge;
  assign step = seeking ? seek_q : 32'(piece);

  always_comb begin
    sge_d        = sge_q;
    sge_d.addr   = sge_q.addr + 64'(step);
    sge_d.length = sge_q.length - step;
    if (next) sge_d = next_sge;
  end

  always_ff @(posedge clk) begin
    if (next || (beat && is_data) || (busy_q && seeking)) sge_q <= sge_d;
    if (busy_q && seeking) seek_q <= seek_ends ? '0 : seek_q - sge_q.length;
    if (next) number_q <= number_q + 1'b1;
    if (record) fresh_q <= 1'b0;
    if (beat) begin
      starts_q      <= piece_ends_packet;
      left_q        <= after;
      packet_left_q <= packet_left_q - piece;
      spent_q       <= spent_q + (spent_q[16] ? 17'd0 : 17'(piece));
      if (piece_ends_packet) begin
        opens_q       <= 1'b0;
        sent_q        <= 1'b1;
        psn_q         <= psn_q + 1'b1;
        packet_q      <= after > 32'(mtu) ? mtu : after[12:0];
        packet_left_q <= after > 32'(mtu) ? mtu : after[12:0];
        ends_q        <= after <= 32'(mtu);
        count_q       <= count_q + 1'b1;
      end
    end
    if (sge_write_en) sges_q <= sges_q + 1'b1;
    if (take) begin
      sge_q         <= in_sge;
      number_q      <= 4'd1;
      fresh_q       <= 1'b1;
      starts_q      <= 1'b1;
      opens_q       <= job_in.skip == '0;
      sent_q        <= 1'b0;
      spent_q       <= '0;
      seek_q        <= in_is_data && !job_in.is_inline ? in_skip : '0;
      left_q        <= in_length;
      packet_q      <= in_length > 32'(in_mtu) ? in_mtu : in_length[12:0];
      packet_left_q <= in_length > 32'(in_mtu) ? in_mtu : in_length[12:0];
      ends_q        <= in_length <= 32'(in_mtu);
      psn_q         <= job_in.psn + job_in.skip;
      count_q       <= job_in.skip[5:0];
      sges_q        <= '0;
    end
  end

  // The packet

  logic [7:0]  data_opcode;
  logic [7:0]  flags;
  logic [31:0] read_skip;
  tx_packet_t  pkt;
  seg_context_t after_it;
  logic [TX_PACKET_W-1:0] pkt_q;

  // Every 64 KiB, so that the answer comes within the shortest timeouts; at least every 64 packets.
  always_comb begin
    case (job_q.path_mtu)
      MTU_BYTES_4096: asks_ack = &count_q[3:0];
      MTU_BYTES_2048: asks_ack = &count_q[4:0];
      default:        asks_ack = &count_q;
    endcase
  end

  assign flags     = wqe.flags;
  assign read_skip = wqe.length - left_q;
  assign after_it  = job_q.context_after;

  rnic_tx_segment_opcode u_opcode (
    .wr_op  (wqe.opcode),
    .first  (opens_q),
    .last   (ends_q),
    .opcode (data_opcode)
  );

  always_comb begin
    pkt             = '0;
    pkt.first       = 1'b1;
    pkt.last        = 1'b1;
    pkt.local_op    = is_local;
    pkt.qpn         = job_q.qpn;
    pkt.msg_idx     = job_q.msg_idx;
    pkt.epoch       = after_it.epoch;
    pkt.opcode      = is_local ? '0 : data_opcode;
    pkt.psn         = psn_q;
    pkt.ack_req     = is_read || (is_data && ends_q);
    pkt.reth_va     = wqe.remote_addr + 64'(is_read ? read_skip : 32'd0);
    pkt.reth_rkey   = wqe.rkey;
    pkt.reth_len    = is_read ? left_q : wqe.length;
    pkt.imm         = wqe.imm;
    pkt.mem.op      = KEY_OP_CHECK;
    pkt.mem.kind    = SEG_KIND_NONE;
    pkt.mem.pd      = job_q.pd;
    pkt.mem.qpn     = job_q.qpn;

    if (is_data) begin
      pkt.first       = starts_q;
      pkt.last        = piece_ends_packet;
      pkt.ack_req     = ends_q || asks_ack;
      pkt.solicited   = ends_q && wqe.opcode != WR_OP_WRITE && flags[WQE_FLAG_SOLICITED_B];
      pkt.payload_len = packet_q;
      pkt.inline_slot = job_q.slot;
      pkt.mem.length  = piece;
      if (job_q.is_inline) begin
        pkt.mem.kind = SEG_KIND_INLINE;
      end else if (packet_q != '0) begin
        pkt.mem.kind  = SEG_KIND_KEY;
        pkt.mem.va    = sge_q.addr;
        pkt.mem.token = sge_q.token;
      end
    end

    if (job_q.kind == MSG_KIND_ATOMIC) begin
      pkt.reth_len = '0;
      pkt.swap     = head[447:384];
      if (wqe.opcode == WR_OP_CMP_SWAP) pkt.compare = head[511:448];
    end

    if (is_local) begin
      pkt.reth_va   = '0;
      pkt.reth_rkey = '0;
      pkt.reth_len  = '0;
      pkt.imm       = '0;
      if (wqe.opcode != WR_OP_NOP) begin
        pkt.mem.op    = wqe.opcode == WR_OP_FAST_REG ? KEY_OP_REGISTER : KEY_OP_INVALIDATE;
        pkt.mem.kind  = SEG_KIND_KEY;
        pkt.mem.token = reg_wqe.token;
      end
      if (wqe.opcode == WR_OP_FAST_REG) begin
        pkt.mem.va     = reg_wqe.base;
        pkt.mem.access = reg_wqe.access;
        pkt.reth_va    = reg_wqe.pages;
        pkt.swap       = reg_wqe.length;
        pkt.reth_len   = {26'd0, reg_wqe.direct, reg_wqe.page_shift};
      end
    end
  end

  always_ff @(posedge clk) begin
    if (out_free) pkt_q <= pkt;
    m_pkt_valid <= beat || (m_pkt_valid && !m_pkt_ready);
    if (rst) m_pkt_valid <= 1'b0;
  end

  assign m_pkt_data = pkt_q;

  // Records

  msg_record_t  msg;
  read_record_t rd;
  logic         sge_counts;
  logic [23:0]  last_psn;

  assign last_psn   = job_q.psn + job_q.psns - 1'b1;
  assign sge_counts = is_read && sge_q.length != '0 && wqe.num_sge != '0;

  always_comb begin
    msg.kind      = job_q.kind;
    msg.signaled  = flags[WQE_FLAG_SIGNALED_B];
    msg.first_psn = job_q.psn;
    msg.last_psn  = last_psn;
    msg.wr_id     = wqe.wr_id;
    msg.sq_first  = job_q.sq_first;
    msg.sq_next   = job_q.sq_next;
    msg.length    = is_local ? '0 : wqe.length;
    msg.status    = job_q.status;
    rd.first_psn  = job_q.psn;
    rd.last_psn   = last_psn;
    rd.length     = wqe.length;
    rd.num_sge    = sges_q + 4'(sge_counts);
    rd.atomic     = job_q.kind == MSG_KIND_ATOMIC;
  end

  assign msg_write_en     = record && (!job_q.replay || job_q.kind == MSG_KIND_BAD);
  assign msg_write_new    = !job_q.replay;
  assign msg_write_qpn    = job_q.qpn;
  assign msg_write_index  = job_q.msg_idx;
  assign msg_write_data   = msg;
  assign read_write_en    = record && is_read && !job_q.replay;
  assign read_write_qpn   = job_q.qpn;
  assign read_write_slot  = job_q.read_slot;
  assign read_write_data  = rd;
  assign sge_write_en     = step_sge && sge_counts;
  assign sge_write_qpn    = job_q.qpn;
  assign sge_write_slot   = job_q.read_slot;
  assign sge_write_number = sges_q[2:0];
  assign sge_write_data   = sge_q;

  // The rest of the message

  seg_context_t back;
  seg_yield_t   yield;
  logic [23:0]  sent_by;
  logic         sent_before;   // the packet of `psn_q`

  assign sent_by     = psn_q - job_q.sent;
  assign sent_before = sent_by[23];

  always_comb begin
    back          = after_it;
    back.msgs     = job_q.msg_idx;
    back.want     = job_q.sq_first;
    back.psn      = job_q.psn;
    back.resuming = 1'b1;
    back.resume   = psn_q;
    back.sent     = sent_before ? job_q.sent : psn_q;
  end

  assign yield.qpn          = job_q.qpn;
  assign yield.paced        = hold_q;
  assign yield.count        = '0;
  assign yield.context_back = back;

  assign m_yield_data  = yield;
  assign m_yield_valid = yields;

  // What others want to know of a packet

  assign sent_en        = beat && pkt.first && !is_local;
  assign sent_qpn       = job_q.qpn;
  assign sent_bytes     = pkt.payload_len;
  assign sent_oldest    = job_q.oldest && !sent_q;
  assign sent_again     = job_q.replay && sent_before;
  assign sent_replay    = job_q.replay;
  assign read_again_en  = beat && is_read && job_q.skip != '0;
  assign read_again_qpn = job_q.qpn;

  // Watch and poll: who asked, until the answer is there

  qp_config_t  cfg;
  logic        watch_q;
  logic [15:0] watch_qpn_q;
  logic        poll_1_q;
  logic        poll_2_q;
  logic        watch_1_q;
  logic        watch_2_q;
  logic [15:0] qpn_1_q;
  logic [15:0] qpn_2_q;
  logic [1:0]  age_1_q;     // of the job that asked
  logic [1:0]  age_2_q;
  logic [1:0]  age_q;
  logic        asks;
  logic        look_q;      // the watch is a look of a replay
  logic        look_1_q;
  logic        look_2_q;
  logic        in_error;
  logic        may_send;
  logic [15:0] passed_by;
  logic [15:0] known_by;

  assign cfg       = qp_rd_cfg;
  assign passed_by = job_q.msg_idx - progress_tail;
  assign known_by  = job_q.msg_idx - progress_rd_tail;
  assign asks      = busy_q && job_q.replay && !is_silent && !asked_q && !done;
  assign watch_en  = watch_q;
  assign watch_qpn = watch_q ? watch_qpn_q : job_q.qpn;
  assign poll_en   = busy_q && is_data && !ends_q && !watch_q;
  assign in_error  = cfg.state == QP_STATE_ERR || cfg.state == QP_STATE_SQE;
  assign may_send  = cfg.state == QP_STATE_RTS || cfg.state == QP_STATE_SQD;

  always_ff @(posedge clk) begin
    watch_q     <= (record && !is_silent && !job_q.replay) || asks;
    look_q      <= asks;
    look_1_q    <= look_q;
    look_2_q    <= look_1_q;
    if (asks) asked_q <= 1'b1;
    if (look_2_q && age_2_q == age_q) begin
      looked_q <= 1'b1;
      if (!may_send) abort_q <= 1'b1;
      if (known_by[15]) retired_q <= 1'b1;
    end
    watch_qpn_q <= job_q.qpn;
    watch_1_q   <= watch_q;
    watch_2_q   <= watch_1_q;
    poll_1_q    <= poll_en && poll_taken;
    poll_2_q    <= poll_1_q;
    qpn_1_q     <= watch_qpn;
    qpn_2_q     <= qpn_1_q;
    age_1_q     <= age_q;
    age_2_q     <= age_1_q;
    if (poll_2_q && age_2_q == age_q && !may_send) abort_q <= 1'b1;
    if (poll_2_q && age_2_q == age_q) hold_q <= pace_rd_hold;
    if (progress_en && progress_qpn == job_q.qpn && passed_by[15]) retired_q <= 1'b1;
    if (take) begin
      age_q     <= age_q + 1'b1;
      abort_q   <= 1'b0;
      hold_q    <= 1'b0;
      retired_q <= 1'b0;
      asked_q   <= 1'b0;
      looked_q  <= 1'b0;
    end
    if (rst) begin
      watch_q   <= 1'b0;
      watch_1_q <= 1'b0;
      watch_2_q <= 1'b0;
      poll_1_q  <= 1'b0;
      poll_2_q  <= 1'b0;
      age_q     <= '0;
      abort_q   <= 1'b0;
    end
  end

  // Kicks: a message without packets, or one whose QP went down meanwhile. Two may come at once
  // only if a watch answers while a silent message is recorded; that one then waits a cycle.

  logic        kick_late;
  logic        kick_now;
  logic [15:0] kick_qpn;
  logic        kick_ready;
  logic [3:0]  kicks;

  assign kick_late = watch_2_q && !look_2_q && in_error;
  assign kick_now  = record && is_silent;
  assign kick_qpn  = kick_late ? qpn_2_q : job_q.qpn;
  assign kick_room = kicks <= 4'(KICKS_MOST) && !(is_silent && kick_late);

  stream_fifo #(
    .DATA_W (16),
    .DEPTH  (KICKS)
  ) u_kicks (
    .clk,
    .rst,
    .s_data  (kick_qpn),
    .s_valid (kick_late || kick_now),
    .s_ready (kick_ready),
    .m_data  (m_kick_data),
    .m_valid (m_kick_valid),
    .m_ready (m_kick_ready),
    .count   (kicks)
  );

  `RNIC_ASSERT(kick_has_room, kick_ready || !(kick_late || kick_now))

endmodule
