// rnic_admin_refs: which queues exist, and how many objects lean on each.
//
// An EQ counts its CQs, a CQ and an SRQ their QPs; an object in use is not destroyed. `look_en`
// gathers the facts about the objects that a command names, `update_en` enters what the command
// changed; both are answered some cycles later and never overlap. The command and the QP as it
// was stay until then.
//
// Four places are visited in turn: 0 the object itself, 1 to 3 what it leans on (CREATE_CQ: its
// EQ; CREATE_QP: send CQ, receive CQ, SRQ).
`include "streams.svh"
`include "layouts.svh"

module rnic_admin_refs #(
  parameter int QP_COUNT  = 256,
  parameter int CQ_COUNT  = 256,
  parameter int EQ_COUNT  = 16,
  parameter int SRQ_COUNT = 64
) (
  input  logic                   clk,
  input  logic                   rst,
  output logic                   ready,

  // The command, and the QP it is about
  input  logic [511:0]           cmd_data,
  input  logic [QP_CONFIG_W-1:0] qp_cfg,

  // Orders
  input  logic                   look_en,
  output logic                   look_done_en,
  input  logic                   update_en,
  output logic                   update_done_en,

  // Facts, from one look to the next
  output logic                   own_exists,
  output logic                   own_used,
  output logic                   ref_a_exists,
  output logic                   ref_b_exists,
  output logic                   ref_c_exists
);

  localparam logic [1:0] REF_EQ  = 2'd0;
  localparam logic [1:0] REF_CQ  = 2'd1;
  localparam logic [1:0] REF_SRQ = 2'd2;
  localparam int MOST_CQ  = CQ_COUNT > SRQ_COUNT ? CQ_COUNT : SRQ_COUNT;
  localparam int NUMBER_W = $clog2(MOST_CQ > EQ_COUNT ? MOST_CQ : EQ_COUNT);
  localparam int ADDR_W   = NUMBER_W + 2;

  typedef struct packed {
    logic        exists;
    logic [15:0] users;
    logic [7:0]  eqn;      // a CQ's event queue
  } ref_t;
  localparam int REF_W = 25;

  typedef enum logic [1:0] {SWEEP, IDLE, READ, USE} state_e;

  state_e             state_q;
  logic [1:0]         place_q;
  logic               updating_q;
  logic [ADDR_W-1:0]  sweep_q;
  ref_t               own_q;
  logic               last;

  // ------------------------------------------------------------------ what is looked at

  admin_command_t   cmd;
  admin_queue_t     queue;
  admin_create_qp_t create;
  qp_config_t       qp;

  assign cmd    = cmd_data;
  assign queue  = cmd_data;
  assign create = cmd_data;
  assign qp     = qp_cfg;

  logic creates_qp;
  logic changes_qp;
  logic changes_cq;
  logic creates;
  logic changes;
  logic of_cq;
  logic of_srq;
  logic has_srq;

  assign creates_qp = cmd.opcode == ADMIN_OP_CREATE_QP;
  assign changes_qp = creates_qp || cmd.opcode == ADMIN_OP_DESTROY_QP;
  assign changes_cq = cmd.opcode == ADMIN_OP_CREATE_CQ || cmd.opcode == ADMIN_OP_DESTROY_CQ;
  assign creates    = cmd.opcode == ADMIN_OP_CREATE_EQ || cmd.opcode == ADMIN_OP_CREATE_CQ
                   || cmd.opcode == ADMIN_OP_CREATE_SRQ;
  assign changes    = creates || cmd.opcode == ADMIN_OP_DESTROY_EQ
                   || cmd.opcode == ADMIN_OP_DESTROY_CQ || cmd.opcode == ADMIN_OP_DESTROY_SRQ;
  assign of_cq      = changes_cq || cmd.opcode == ADMIN_OP_RESIZE_CQ
                   || cmd.opcode == ADMIN_OP_QUERY_CQ;
  assign of_srq     = cmd.opcode == ADMIN_OP_CREATE_SRQ || cmd.opcode == ADMIN_OP_MODIFY_SRQ
                   || cmd.opcode == ADMIN_OP_QUERY_SRQ || cmd.opcode == ADMIN_OP_DESTROY_SRQ;
  assign has_srq    = creates_qp ? create.use_srq : qp.use_srq;

  logic [1:0]  kind;
  logic [15:0] number;
  logic        changed;     // by the command, if it is carried out

  assign kind = place_q == 2'd0 ? (of_cq ? REF_CQ : of_srq ? REF_SRQ : REF_EQ)
              : place_q == 2'd3 ? REF_SRQ
              : changes_cq ? REF_EQ : REF_CQ;

  assign number = place_q == 2'd0 ? 16'(cmd.number)
                : place_q == 2'd1 ? (creates_qp ? create.send_cq
                                     : changes_qp ? qp.send_cq
                                     : {8'd0, cmd.opcode == ADMIN_OP_CREATE_CQ ? queue.eqn
                                                                               : own_q.eqn})
                : place_q == 2'd2 ? (creates_qp ? create.recv_cq : qp.recv_cq)
                : (creates_qp ? {1'b0, create.srq} : qp.rq_id - 16'(QP_COUNT));

  assign changed = place_q == 2'd0 ? changes
                 : place_q == 2'd1 ? changes_qp || changes_cq
                 : place_q == 2'd2 ? changes_qp
                 : changes_qp && has_srq;

  // An out-of-range number must not alias an object that exists.
  logic in_range;
  assign in_range = kind == REF_EQ ? number < 16'(EQ_COUNT)
                  : kind == REF_CQ ? number < 16'(CQ_COUNT)
                  : number < 16'(SRQ_COUNT);

  // ------------------------------------------------------------------ the table

  logic [REF_W-1:0]  read_bits;
  ref_t              now;
  ref_t              entry;
  logic              found;
  logic              sweeping;
  logic              reading;
  logic              writing;
  logic [ADDR_W-1:0] addr;

  assign sweeping = state_q == SWEEP;
  assign reading  = state_q == READ;
  assign writing  = sweeping || (state_q == USE && updating_q && changed);
  assign addr     = {kind, number[NUMBER_W-1:0]};
  assign now      = read_bits;
  assign found    = in_range && now.exists;

  always_comb begin
    entry = now;
    if (place_q == 2'd0) begin
      entry        = '0;
      entry.exists = creates;
      entry.eqn    = queue.eqn;
    end else if (creates_qp || creates) begin
      entry.users = now.users + 16'd1;
    end else begin
      entry.users = now.users - 16'd1;
    end
    if (sweeping) entry = '0;
  end

  ram_1w1r #(
    .DATA_W (REF_W),
    .DEPTH  (1 << ADDR_W)
  ) u_refs (
    .clk,
    .wr_en   (writing),
    .wr_addr (sweeping ? sweep_q : addr),
    .wr_data (entry),
    .rd_en   (reading),
    .rd_addr (addr),
    .rd_data (read_bits)
  );

  // ------------------------------------------------------------------ one place after the other

  assign last           = state_q == USE && place_q == 2'd3;
  assign look_done_en   = last && !updating_q;
  assign update_done_en = last && updating_q;
  assign ready          = state_q != SWEEP;
  assign own_exists     = own_q.exists;
  assign own_used       = own_q.users != '0;

  always_ff @(posedge clk) begin
    case (state_q)
      SWEEP:   if (sweep_q == '1) state_q <= IDLE;
      IDLE:    if (look_en || update_en) state_q <= READ;
      READ:    state_q <= USE;
      default: begin
        if (last) state_q <= IDLE;
        else      state_q <= READ;
      end
    endcase
    if (state_q == SWEEP) sweep_q <= sweep_q + 1'b1;
    if (state_q == IDLE) begin
      place_q    <= '0;
      updating_q <= update_en;
    end
    if (state_q == USE) place_q <= place_q + 2'd1;
    if (state_q == USE && !updating_q) begin
      case (place_q)
        2'd0:    own_q        <= now;
        2'd1:    ref_a_exists <= found;
        2'd2:    ref_b_exists <= found;
        default: ref_c_exists <= found;
      endcase
    end
    if (rst) begin
      state_q <= SWEEP;
      sweep_q <= '0;
    end
  end

endmodule
