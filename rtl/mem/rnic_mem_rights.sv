// rnic_mem_rights: decides whether a request may touch the memory its token stands for.
//
// The order of checks is index, key byte, kind and state, protection domain, rights, range. One
// request per cycle, six cycles, in order:
//
//   a, b  key table      c  rights, offset     d  range     e  pages     f  list entries
//
// The stages never stop: a request enters only when the buffer behind them has room for it.
//
// What must be inside reaches from va over the longer of `length` and `span`; what moves is `length`.
// So the range of a whole message can be judged with its first packet, and that of one that moves
// nothing here as well.
//
// REGISTER is refused for what no region may be: no bytes, an end beyond 2^64, a page size that is
// none, a list that is not aligned or longer than the region was made for, rights that a region
// cannot have or that lack local write.
//
// INVALIDATE and REGISTER stay at the entrance until the key table holds the new entry; the request
// behind them sees it. The table is asked again when anything in it changed since the lookup, so two
// pipelines and admin cannot undo each other's decisions. Those before them were checked already.
`include "layouts.svh"
`include "codes.svh"
`include "streams.svh"
`include "mem_steps.svh"

module rnic_mem_rights (
  input  logic         clk,
  input  logic         rst,

  // Requests; `reg` belongs to REGISTER
  input  mem_req_t     s_req_data,
  input  logic [63:0]  s_req_reg_pages,
  input  logic [63:0]  s_req_reg_length,
  input  logic [4:0]   s_req_reg_shift,
  input  logic         s_req_reg_direct,
  input  logic         s_req_valid,
  output logic         s_req_ready,

  // Key table
  output logic         lookup_en,
  output logic [23:0]  lookup_index,
  input  key_entry_t   lookup_entry,
  output key_write_t   m_mod_data,
  output logic         m_mod_valid,
  input  logic         m_mod_ready,
  input  logic         changed_en,

  // Checked requests
  output mem_walk_t    m_walk_data,
  output logic         m_walk_valid,
  input  logic         m_walk_ready
);

  localparam int ROOM = 8;  // one request per cycle needs as many as a request takes cycles

  typedef enum logic [2:0] {ASK, FIND, JUDGE, WRITE, ANSWER} mod_e;

  localparam logic [5:0] REMOTE_OR_BIND = ~ACCESS_LOCAL_WRITE;

  // Entrance

  logic [3:0] inside_q;
  logic       room;
  logic       is_mod;
  logic       enter;
  logic       leave;
  mod_e       mod_q, mod_d;
  logic       mod_asks;

  assign is_mod       = s_req_data.op != KEY_OP_CHECK;
  assign room         = inside_q < 4'(ROOM);
  assign s_req_ready  = room && (!is_mod || mod_q == ANSWER);
  assign enter        = s_req_valid && s_req_ready;
  assign leave        = m_walk_valid && m_walk_ready;
  assign mod_asks     = s_req_valid && is_mod && mod_q == ASK;
  assign lookup_en    = mod_asks || (enter && !is_mod);
  assign lookup_index = s_req_data.token[31:8];

  always_ff @(posedge clk) begin
    if (enter && !leave) inside_q <= inside_q + 1'b1;
    if (!enter && leave) inside_q <= inside_q - 1'b1;
    if (rst) inside_q <= '0;
  end

  // REGISTER: what the request itself must be, in the two cycles in which the table is read

  logic [29:0] reg_mask;
  logic        reg_sound_q, reg_sound2_q;
  logic [64:0] reg_reach_q;    // from the start of the first page, rounded up
  logic [64:0] reg_pages_q;    // pages of its list
  logic [5:0]  reg_access;

  assign reg_mask   = (30'd1 << s_req_reg_shift) - 30'd1;  // shift 30: all ones
  assign reg_access = s_req_data.access;

  always_ff @(posedge clk) begin
    reg_sound_q  <= s_req_reg_length != '0
                 && {1'b0, s_req_data.va} + {1'b0, s_req_reg_length} <= {1'b1, 64'd0}
                 && s_req_reg_shift >= 5'd12 && s_req_reg_shift <= 5'd30
                 && (s_req_reg_direct || s_req_reg_pages[2:0] == '0)
                 && (reg_access & (ACCESS_MW_BIND | ACCESS_ZERO_BASED)) == '0
                 && ((reg_access & (ACCESS_REMOTE_WRITE | ACCESS_REMOTE_ATOMIC)) == '0
                     || (reg_access & ACCESS_LOCAL_WRITE) != '0);
    reg_sound2_q <= reg_sound_q;
    reg_reach_q  <= {1'b0, s_req_reg_length} + 65'(s_req_data.va[29:0] & reg_mask) + 65'(reg_mask);
    reg_pages_q  <= reg_reach_q >> s_req_reg_shift;
  end

  // INVALIDATE and REGISTER

  logic       fits;
  logic       stale_q;  // the table changed since the lookup
  logic       mod_ok, mod_ok_q;
  key_entry_t mod_entry, mod_entry_q;

  assign fits = s_req_reg_direct || lookup_entry.limit == '0
             || reg_pages_q <= 65'(lookup_entry.limit);

  always_comb begin
    mod_entry = lookup_entry;
    mod_ok    = lookup_entry.kind == KEY_KIND_FAST_REG && lookup_entry.pd == s_req_data.pd;
    if (s_req_data.op == KEY_OP_INVALIDATE) begin
      mod_ok = mod_ok && lookup_entry.valid && lookup_entry.key == s_req_data.token[7:0];
      mod_entry.valid = 1'b0;
    end else begin
      mod_ok = mod_ok && !lookup_entry.valid && s_req_data.op == KEY_OP_REGISTER &&
               reg_sound2_q && fits;
      mod_entry.key        = s_req_data.token[7:0];
      mod_entry.valid      = 1'b1;
      mod_entry.access     = s_req_data.access;
      mod_entry.direct     = s_req_reg_direct;
      mod_entry.page_shift = s_req_reg_shift;
      mod_entry.base       = s_req_data.va;
      mod_entry.length     = s_req_reg_length;
      mod_entry.pages      = s_req_reg_pages;
    end
  end

  always_comb begin
    mod_d = mod_q;

    case (mod_q)
      ASK:    if (mod_asks)              mod_d = FIND;
      FIND:                              mod_d = JUDGE;
      JUDGE:  if (stale_q || changed_en) mod_d = ASK;
              else if (mod_ok)           mod_d = WRITE;
              else                       mod_d = ANSWER;
      WRITE:  if (m_mod_ready)           mod_d = ANSWER;
              else if (changed_en)       mod_d = ASK;
      ANSWER: if (enter)                 mod_d = ASK;
      default:                           mod_d = ASK;
    endcase
  end

  assign m_mod_valid = mod_q == WRITE;

  always_comb begin
    m_mod_data.index = s_req_data.token[31:8];
    m_mod_data.entry = mod_entry_q;
  end

  always_ff @(posedge clk) begin
    mod_q   <= mod_d;
    stale_q <= changed_en && (mod_q == ASK || mod_q == FIND) || (stale_q && mod_q == FIND);
    if (mod_q == JUDGE) begin
      mod_ok_q    <= mod_ok;
      mod_entry_q <= mod_entry;
    end
    if (rst) mod_q <= ASK;
  end

  // a, b: the key table is being read

  logic     a_valid_q, b_valid_q, c_valid_q, d_valid_q, e_valid_q;
  logic     a_pass_q,  b_pass_q;   // nothing to look at
  logic     a_ok_q,    b_ok_q;     // what then to answer
  mem_req_t a_req_q,   b_req_q;
  logic     by_key;

  assign by_key = s_req_data.kind == SEG_KIND_KEY || s_req_data.kind == SEG_KIND_WORD;

  always_ff @(posedge clk) begin
    a_valid_q <= enter;
    a_req_q   <= s_req_data;
    a_pass_q  <= is_mod || !by_key || (s_req_data.length == '0 && s_req_data.span == '0);
    a_ok_q    <= !is_mod || mod_ok_q;
    b_valid_q <= a_valid_q;
    b_req_q   <= a_req_q;
    b_pass_q  <= a_pass_q;
    b_ok_q    <= a_ok_q;
    c_valid_q <= b_valid_q;
    d_valid_q <= c_valid_q;
    e_valid_q <= d_valid_q;
    if (rst) begin
      a_valid_q <= 1'b0;
      b_valid_q <= 1'b0;
      c_valid_q <= 1'b0;
      d_valid_q <= 1'b0;
      e_valid_q <= 1'b0;
    end
  end

  // c: rights, offset

  key_entry_t  c_key_q;
  logic        c_pass_q, c_ok_q, c_privileged_q, c_below_q;
  logic [63:0] c_va_q, c_offset_q;
  logic [12:0] c_length_q;
  logic [31:0] c_reach_q;
  logic        privileged, known, granted;
  logic [64:0] offset;

  assign privileged = lookup_entry.kind == KEY_KIND_PRIVILEGED;
  assign known      = lookup_entry.valid && lookup_entry.key == b_req_q.token[7:0] &&
                      (privileged || lookup_entry.kind == KEY_KIND_MR ||
                       lookup_entry.kind == KEY_KIND_FAST_REG) &&
                      lookup_entry.pd == b_req_q.pd;
  assign granted    = (b_req_q.access & (privileged ? REMOTE_OR_BIND : ~lookup_entry.access)) == '0;
  assign offset     = {1'b0, b_req_q.va} - {1'b0, lookup_entry.base};

  always_ff @(posedge clk) begin
    c_key_q        <= lookup_entry;
    c_pass_q       <= b_pass_q;
    c_ok_q         <= b_pass_q ? b_ok_q : known && granted;
    c_privileged_q <= privileged;
    c_below_q      <= offset[64];
    c_offset_q     <= offset[63:0];
    c_va_q         <= b_req_q.va;
    c_length_q     <= b_pass_q ? 13'd0 : b_req_q.length;
    c_reach_q      <= b_req_q.span > 32'(b_req_q.length) ? b_req_q.span : 32'(b_req_q.length);
  end

  // d: range, offset in the list's pages; 65 bits, so nothing wraps

  logic        d_ok_q, d_list_q;
  logic [63:0] d_linear_q, d_pages_q;
  logic [64:0] d_offset_q, d_end_q;
  logic [4:0]  d_shift_q;
  logic [29:0] d_mask_q;
  logic [12:0] d_length_q;
  logic        in_range;
  logic [29:0] mask, first;

  assign in_range = !c_below_q && 65'(c_offset_q) + 65'(c_reach_q) <= {1'b0, c_key_q.length};
  assign mask   = (30'd1 << c_key_q.page_shift) - 30'd1;  // shift 30: all ones
  assign first  = c_key_q.base[29:0] & mask;

  always_ff @(posedge clk) begin
    d_ok_q     <= c_ok_q && (c_pass_q || c_privileged_q || in_range);
    d_list_q   <= c_ok_q && !c_pass_q && !c_privileged_q && in_range && !c_key_q.direct
               && c_length_q != '0;
    d_linear_q <= c_privileged_q ? c_va_q : c_key_q.pages + c_offset_q;
    d_offset_q <= 65'(c_offset_q) + 65'(first);
    d_end_q    <= {1'b0, c_key_q.length} + 65'(first) - 65'd1;
    d_shift_q  <= c_key_q.page_shift;
    d_mask_q   <= mask;
    d_pages_q  <= c_key_q.pages;
    d_length_q <= c_length_q;
  end

  // e: pieces and pages. Pieces end at 4 KiB inside a larger page too, as bursts must.

  logic        e_ok_q, e_list_q, e_two_q;
  logic [63:0] e_addr0_q, e_addr1_q;
  logic [12:0] e_len0_q, e_len1_q;
  logic [52:0] e_page_q, e_last_page_q;
  logic [60:0] e_pages_q;
  logic [11:0] start;
  logic [12:0] to_edge, len0, len1;
  logic [17:0] in_page, in_page1;  // number of 4 KiB in the page
  logic [64:0] page, last_page;

  assign start     = d_list_q ? d_offset_q[11:0] : d_linear_q[11:0];
  assign to_edge   = 13'd4096 - 13'(start);
  assign len0      = d_length_q < to_edge ? d_length_q : to_edge;
  assign len1      = d_length_q - len0;
  assign in_page   = d_offset_q[29:12] & d_mask_q[29:12];
  assign in_page1  = (d_offset_q[29:12] + 18'd1) & d_mask_q[29:12];
  assign page      = d_offset_q >> d_shift_q;
  assign last_page = d_end_q >> d_shift_q;

  always_ff @(posedge clk) begin
    e_ok_q        <= d_ok_q;
    e_list_q      <= d_list_q;
    e_two_q       <= len1 != 13'd0 && in_page1 == '0;
    e_addr0_q     <= d_list_q ? {34'd0, in_page, start} : d_linear_q;
    e_addr1_q     <= d_list_q ? {34'd0, in_page1, 12'd0} : {d_linear_q[63:12] + 52'd1, 12'd0};
    e_len0_q      <= len0;
    e_len1_q      <= len1;
    e_page_q      <= page[52:0];
    e_last_page_q <= last_page[52:0];
    e_pages_q     <= d_pages_q[63:3];
  end

  // f: list entries. The next line is wanted soon in the last quarter of a line, if the list goes on.

  mem_walk_t   walk;
  logic [60:0] entry, next;
  logic [2:0]  used;    // place of the last entry used
  logic [52:0] behind;  // pages of the region behind the first one
  logic        unused_ready;

  assign entry  = e_pages_q + 61'(e_page_q);
  assign next   = entry + 61'd8;
  assign used   = entry[2:0] + 3'(e_two_q);
  assign behind = e_last_page_q - e_page_q - 53'(e_two_q);

  always_comb begin
    walk.ok        = e_ok_q;
    walk.list      = e_list_q;
    walk.two       = e_two_q;
    walk.ahead     = (used == 3'd6 && behind >= 53'd2) || (used == 3'd7 && behind >= 53'd1);
    walk.entry     = entry;
    walk.next_line = next[60:3];
    walk.addr0     = e_addr0_q;
    walk.len0      = e_len0_q;
    walk.addr1     = e_addr1_q;
    walk.len1      = e_len1_q;
  end

  stream_fifo #(
    .DATA_W (MEM_WALK_W),
    .DEPTH  (ROOM)
  ) u_walk (
    .clk,
    .rst,
    .s_data  (walk),
    .s_valid (e_valid_q),
    .s_ready (unused_ready),
    .m_data  (m_walk_data),
    .m_valid (m_walk_valid),
    .m_ready (m_walk_ready),
    .count   ()
  );

endmodule
