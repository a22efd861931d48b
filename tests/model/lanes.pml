/* lanes.pml: a model of one session over several streams: joining, order, credit, breaks and resumption, goodbye.
 *
 * docs/protocol.md is the text ("Further streams", "Resumption", "The end"); the code is named where it is modelled. What
 * one stream can do is in session.pml, whose assertions these are. Checked by scripts/model.sh. Compile-time choices:
 *   BREAKS        how many streams break, in any phase, at most; a dial that is given up counts as one
 *   FLIPS         how many data frames are damaged on their way, at most
 *   WINDOW        credit, in frames (each costs 1)
 *   CHUNKS        data frames: all but the last one are of the first file
 *   LANES         further streams of the session
 *   JOINS         how often one is opened, at most
 *   RECEIVER_DIALS  else the sender does
 *   BUG_...       a deliberate mistake, which has to be found
 *
 * It begins after the first WELCOME. Left out, beside what session.pml leaves out: bundles (a frame that comes again is the
 * same), grace, crashes, and how long the sender of a session without breaks waits until the receiver has closed: for ever.
 */
#ifndef BREAKS
#define BREAKS 1
#endif
#ifndef FLIPS
#define FLIPS 0
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef CHUNKS
#define CHUNKS 3
#endif
#ifndef LANES
#define LANES 1
#endif
#ifndef JOINS
#define JOINS 2
#endif

/* A stream that joined late, and is dead, breaks the session once more: each break and each join can lead to a dial. */
#define DIALS (1 + BREAKS + JOINS)
#define ANSWERS (4 + FLIPS)
#define NONE 255

/* What the sender says, by its order: the chunks of one file, its FILE_END, another file of one chunk, and the goodbye. */
#define END_A CHUNKS
#define END_B (CHUNKS + 2)
#define FINISH (CHUNKS + 3)
#define BYE (CHUNKS + 4)
#define IS_DATA(order) (order < END_A || order == END_A + 1)
#define BIT(order) (1 << (order))

/* ---- streams ----------------------------------------------------------------------------------------------------- */

mtype = { PLAIN, RESENT, DAMAGED }; /* flag of a frame */
mtype = { ACK, DURABLE, REFUSED, FINISH_ACK };
mtype = { BUSY, OK, FAILED };
mtype = { UNUSED, HELLO, WELCOME, REJECT };

/* First streams, one after another: order, flag; the receiver's message, its order, argument, credit. */
chan to_receiver[DIALS] = [2] of { byte, mtype };
chan to_sender[DIALS] = [3] of { mtype, byte, byte, byte };
bool broken[DIALS]; /* or closed by one end, which is the same for the other */
byte dials = 1;

/* INTENT_RESUME, until the listener answers; a later one takes its place (line_offer). */
bool offered;
byte offer_processed;
mtype answer[DIALS] = UNUSED;
byte answer_processed;

/* Further streams: INTENT_JOIN, and its answer; what comes by it. */
mtype join[JOINS] = UNUSED;
byte join_index[JOINS];
chan by_lane[JOINS] = [1] of { byte, mtype };
bool join_broken[JOINS];
byte joins;
byte joining = NONE; /* dialler: the join that has no answer yet */

byte breaks, flips; /* used */
mtype sender_exit = BUSY, receiver_exit = BUSY;

/* ---- sender: outbox.c, flight.c, send_session.c, lanes.c --------------------------------------------------------- */
byte s_first; /* its first stream */
byte s_lane[LANES] = NONE;
byte s_held[LANES]; /* what was handed to a lane's thread and is not written yet: its order; 0: nothing */
mtype s_held_flag[LANES] = PLAIN;
bool s_broken; /* line->broken */
byte s_next = 1; /* order that is sent next */
byte s_sent; /* highest that was sent */
byte s_spent, s_limit = WINDOW;
byte s_processed; /* replies */
byte s_acked; /* of ours, as the receiver told */
byte s_settled; /* files */
#ifdef BUG_CREDIT_PER_LANE
byte s_spent_on[LANES];
#endif
#ifdef BUG_LANE_NOT_IN_FLIGHT
byte s_by_lane; /* orders */
#endif

/* ---- receiver: link.c, sequencer.c, stages.c, recv_session.c ----------------------------------------------------- */
byte r_first;
byte r_lane[LANES] = NONE;
bool r_broken;
byte r_hand[LANES]; /* what a lane's thread has read and not passed on yet: its order; 0: nothing */
mtype r_hand_flag[LANES] = PLAIN;
byte r_next = 1, r_missing; /* as in link.h */
byte r_processed, r_told; /* told: in the last ACK; NONE: one is due */
byte r_used, r_granted = WINDOW;
short r_have, r_awaited; /* orders: in the sequencer; refused and not come again */
byte r_ended; /* files that are complete */
byte durable; /* files */
bool finished; /* and all names */
byte a_arg[ANSWERS]; /* answers, by their order: a file, FINISHED, or REFUSAL + what was refused */
byte a_next = 1, a_again = 1;
#define FINISHED 3
#define REFUSAL 10

#ifdef RECEIVER_DIALS
#define D_LANE r_lane
#define D_BROKEN r_broken
#define D_OVER (receiver_exit != BUSY)
#define L_LANE s_lane
#define L_BROKEN s_broken
#define L_OVER (sender_exit != BUSY)
#else
#define D_LANE s_lane
#define D_BROKEN s_broken
#define D_OVER (sender_exit != BUSY)
#define L_LANE r_lane
#define L_BROKEN r_broken
#define L_OVER (receiver_exit != BUSY)
#endif

#define LANE_BROKE(lane) (lane != NONE && join_broken[lane])
#define A_LANE_IS_CLOSED(lane) (lane[0] == NONE || lane[LANES - 1] == NONE)
#if LANES == 1
#define A_LANE_BROKE(lane) LANE_BROKE(lane[0])
#define HANDS_ARE_EMPTY (r_hand[0] == 0)
#else
#define A_LANE_BROKE(lane) (LANE_BROKE(lane[0]) || LANE_BROKE(lane[1]))
#define HANDS_ARE_EMPTY (r_hand[0] == 0 && r_hand[1] == 0)
#endif

/* ---- joining ----------------------------------------------------------------------------------------------------- */

/* A HELLO that is on its way may still be taken. */
inline close_joining() {
    if
    :: joining != NONE ->
        if :: join[joining] != HELLO -> join[joining] = UNUSED :: else fi;
        join_broken[joining] = true;
        joining = NONE
    :: else
    fi
}

/* The dialler's thread that opens lanes: next_to_open, end_joining. One that is being opened when the session ends is not
 * closed before the others. */
active proctype joiner() {
    byte i;
end:
    do
    :: atomic { joining == NONE && joins < JOINS && !D_BROKEN && !D_OVER && A_LANE_IS_CLOSED(D_LANE) ->
        i = (D_LANE[0] == NONE -> 0 : LANES - 1);
        joining = joins;
        join_index[joining] = i;
        join[joining] = HELLO;
        joins++;
        i = 0 }
    :: atomic { joining != NONE && !D_OVER && join[joining] == WELCOME ->
        D_LANE[join_index[joining]] = joining;
        join[joining] = UNUSED;
        joining = NONE }
    :: atomic { joining != NONE && !D_OVER && (join[joining] == REJECT || join_broken[joining]) -> close_joining() }
#ifdef BUG_JOINING_DROPPED
    :: atomic { joining != NONE && D_OVER -> close_joining() }
#endif
    od
}

/* The listener's thread that accepts: lanes_take, through the registry. It may be late. After a break a stream may join from
 * WELCOME on. (`joining` tells whether anybody is left who could read the answer.) */
active proctype door() {
    byte j;
end:
    do
    :: atomic { join[0] == HELLO -> j = 0; goto answer_it }
#if JOINS > 1
    :: atomic { join[1] == HELLO -> j = 1; goto answer_it }
#endif
#if JOINS > 2
    :: atomic { join[2] == HELLO -> j = 2; goto answer_it }
#endif
    od;
answer_it:
    atomic {
        if
#ifdef BUG_JOINED_WHILE_BROKEN
        :: !L_OVER && L_LANE[join_index[j]] == NONE ->
#else
        :: !L_BROKEN && !L_OVER && L_LANE[join_index[j]] == NONE ->
#endif
            L_LANE[join_index[j]] = j;
            join[j] = (joining == j -> WELCOME : UNUSED)
        :: join[j] = (joining == j -> REJECT : UNUSED) /* also for reasons of its own */
        fi;
        j = 0;
        goto end
    }
}

#define CAN_BREAK (breaks < BREAKS && (sender_exit == BUSY || receiver_exit == BUSY))

active proctype breaker() {
end:
    do
    :: atomic { CAN_BREAK && !broken[dials - 1] -> broken[dials - 1] = true; breaks++ }
    :: atomic { CAN_BREAK && joins > 0 && !join_broken[0] -> join_broken[0] = true; breaks++ }
#if JOINS > 1
    :: atomic { CAN_BREAK && joins > 1 && !join_broken[1] -> join_broken[1] = true; breaks++ }
#endif
#if JOINS > 2
    :: atomic { CAN_BREAK && joins > 2 && !join_broken[2] -> join_broken[2] = true; breaks++ }
#endif
    od
}

/* ---- the sender's steps ------------------------------------------------------------------------------------------ */

/* lanes_close: what waits in the lane stays in flight. */
inline close_senders_lane(i) {
    if
    :: s_lane[i] != NONE ->
        join_broken[s_lane[i]] = true;
        s_lane[i] = NONE;
#ifndef BUG_HELD_KEPT
        s_held[i] = 0; s_held_flag[i] = PLAIN
#endif
    :: else
    fi
}

inline close_sender() {
    s_broken = true;
    broken[s_first] = true;
    do
    :: nempty(to_sender[s_first]) -> to_sender[s_first]?_,_,_,_
    :: empty(to_sender[s_first]) -> break
    od;
    close_senders_lane(0);
#if LANES > 1
    close_senders_lane(1);
#endif
#ifndef RECEIVER_DIALS
    close_joining()
#endif
}

inline write_first(w_order, w_flag) {
    if
    :: broken[s_first] -> skip /* lost, but it is in the flight */
    :: else -> to_receiver[s_first]!w_order,w_flag
    fi
}

inline damage_perhaps() {
    flag = PLAIN;
    if
    :: IS_DATA(s_next) && flips < FLIPS -> flips++; flag = DAMAGED
    :: skip
    fi
}

inline was_sent() {
    if :: s_next > s_sent -> s_sent = s_next :: else fi;
    s_next++;
    flag = PLAIN
}

/* lanes_send */
inline send_by_lane(i) {
    damage_perhaps();
    s_held[i] = s_next; s_held_flag[i] = flag;
#ifdef BUG_CREDIT_PER_LANE
    s_spent_on[i]++;
#else
    s_spent++;
#endif
#ifdef BUG_LANE_NOT_IN_FLIGHT
    s_by_lane = s_by_lane | BIT(s_next);
#endif
    was_sent()
}

inline send_by_first() {
    damage_perhaps();
    write_first(s_next, flag);
    s_spent++;
    was_sent()
}

#define IS_DUE (s_next < FINISH || (s_next == FINISH && s_settled == 2) || (s_next == BYE && sender_exit == OK))
#define MAY_SEND (!s_broken && IS_DUE)
#define CAN_WRITE (broken[s_first] || nfull(to_receiver[s_first]))
#define CAN_SEND_BY(i) (s_lane[i] != NONE && s_held[i] == 0 && IS_DATA(s_next))
#ifdef BUG_CREDIT_PER_LANE
#define CREDIT_OF(i) (s_spent_on[i] < s_limit)
#else
#define CREDIT_OF(i) CREDIT
#endif
#define CREDIT (s_spent < s_limit)

inline take_reply(t_type, t_order, t_arg, t_credit) {
    if
    :: t_type == ACK ->
        if :: t_arg > s_acked -> s_acked = t_arg :: else fi;
        if :: t_credit > s_limit -> s_limit = t_credit :: else fi
    :: else ->
        assert(t_order == s_processed + 1); /* in order, each once */
        s_processed = t_order;
        if
        :: t_type == DURABLE ->
            assert(durable >= t_arg); /* no acknowledgement before it is true */
            assert(s_settled == t_arg - 1);
            s_settled = t_arg
        :: t_type == REFUSED && t_arg != 0 ->
            assert(t_arg > s_acked && t_arg <= s_sent && IS_DATA(t_arg)); /* else a violation */
            write_first(t_arg, RESENT) /* never by a lane */
        :: t_type == REFUSED && t_arg == 0 -> skip /* taken back */
        :: t_type == FINISH_ACK ->
            assert(s_sent == FINISH);
            sender_exit = OK
        fi
    fi
}

/* flight_take, outbox_rewind: what the receiver has not processed is sent again, whichever stream it went by. */
inline sender_goes_on(told) {
    assert(told >= s_acked && told <= s_sent); /* else a violation */
    s_acked = told;
    s_spent = told;
    s_next = told + 1;
#ifdef BUG_LANE_NOT_IN_FLIGHT
    do
    :: s_next < s_sent && (s_by_lane & BIT(s_next)) -> s_next++
    :: else -> break
    od;
#endif
    s_broken = false
}

/* ---- the receiver's steps ---------------------------------------------------------------------------------------- */

inline close_receivers_lane(lane) {
    if
    :: lane != NONE ->
        join_broken[lane] = true;
        do
        :: nempty(by_lane[lane]) -> by_lane[lane]?_,_
        :: empty(by_lane[lane]) -> break
        od;
        lane = NONE
    :: else
    fi
}

inline close_receiver() {
    r_broken = true;
    broken[r_first] = true;
    do
    :: nempty(to_receiver[r_first]) -> to_receiver[r_first]?_,_
    :: empty(to_receiver[r_first]) -> break
    od;
    close_receivers_lane(r_lane[0]);
#if LANES > 1
    close_receivers_lane(r_lane[1]);
#endif
#ifdef RECEIVER_DIALS
    close_joining()
#endif
}

inline reply(p_arg) {
    assert(a_next < ANSWERS);
    a_arg[a_next] = p_arg;
    a_next++
}

inline commit() {
    do
    :: durable < r_ended -> durable++; reply(durable)
    :: else -> break
    od
}

/* link_in_arrived, and then the sequencer or the refusals. */
inline arrive(v_order, v_flag) {
    if
    :: v_flag == RESENT ->
        assert(v_order < r_next && (r_awaited & BIT(v_order))); /* refusals_answer */
        r_awaited = r_awaited & ~BIT(v_order);
        r_have = r_have | BIT(v_order)
    :: else ->
        assert(r_used < r_granted); /* more than its credit */
        assert(v_order <= r_granted); /* may_come_now: beyond all credit */
        assert(v_order > r_processed && !((r_have | r_awaited) & BIT(v_order))); /* twice */
        assert(v_order != BYE || r_processed == FINISH); /* check_bye */
        r_used++;
        if
        :: v_order < r_next -> assert(r_missing > 0); r_missing--
        :: else -> r_missing = r_missing + v_order - r_next; r_next = v_order + 1
        fi;
        if
        :: v_flag == DAMAGED -> r_awaited = r_awaited | BIT(v_order); reply(REFUSAL + v_order)
        :: else -> r_have = r_have | BIT(v_order)
        fi
    fi
}

/* recv_session_apply: each order once, and in turn. */
inline apply(p_order) {
    assert(p_order == r_processed + 1);
    r_have = r_have & ~BIT(p_order);
    if
    :: IS_DATA(p_order) -> skip
    :: p_order == END_A || p_order == END_B -> r_ended++
    :: p_order == FINISH ->
        commit();
        finished = true;
        reply(FINISHED)
    :: p_order == BYE ->
        assert(finished);
        receiver_exit = OK
    fi;
    r_processed = p_order
}

#define IS_READY (r_have & BIT(r_processed + 1))

/* settle: what is in order is applied, the rest forgotten; it comes again. */
inline settle() {
    do
    :: IS_READY && receiver_exit == BUSY -> apply(r_processed + 1)
    :: else -> break
    od;
#ifndef BUG_SEQUENCER_KEPT
    r_have = 0;
#endif
    r_awaited = 0;
    r_missing = 0;
    r_next = r_processed + 1;
    r_used = r_processed
}

/* prepare_again: what was refused comes again unasked, and an ACK is due. */
inline receiver_goes_on(told) {
    assert(told < a_next);
    a_again = told + 1;
    k = a_again;
    do
    :: k < a_next -> a_arg[k] = (a_arg[k] > REFUSAL -> REFUSAL : a_arg[k]); k++
    :: else -> break
    od;
    k = 0;
    r_told = NONE;
    r_broken = false
}

inline send_answer() {
    if
    :: broken[r_first] -> skip
    :: else ->
        if
        :: a_arg[a_again] >= REFUSAL -> to_sender[r_first]!REFUSED,a_again,a_arg[a_again] - REFUSAL,0
        :: a_arg[a_again] == FINISHED -> to_sender[r_first]!FINISH_ACK,a_again,0,0
        :: else -> to_sender[r_first]!DURABLE,a_again,a_arg[a_again],0
        fi
    fi;
    a_again++
}

#define CAN_ANSWER (!r_broken && (broken[r_first] || nfull(to_sender[r_first])))

/* ---- both ends --------------------------------------------------------------------------------------------------- */

/* HELLO with INTENT_RESUME on a new first stream. */
inline come_back(mine, h_processed) {
    assert(dials < DIALS);
    mine = dials;
    dials++;
    offer_processed = h_processed;
    offered = true
}

/* Each lane has a thread at the sender (lane_carry), and one at the receiver (ingest_lane). */
inline sender_writes(i) {
    s_held[i] != 0 && s_lane[i] != NONE && (join_broken[s_lane[i]] || nfull(by_lane[s_lane[i]])) ->
        if
        :: join_broken[s_lane[i]] -> skip
        :: else -> by_lane[s_lane[i]]!s_held[i],s_held_flag[i]
        fi;
        s_held[i] = 0; s_held_flag[i] = PLAIN
}

inline lane_reads(i) {
    r_lane[i] != NONE && r_hand[i] == 0 && nempty(by_lane[r_lane[i]]) ->
        by_lane[r_lane[i]]?r_hand[i],r_hand_flag[i]
}

inline lane_passes_on(i) {
    r_hand[i] != 0 ->
        arrive(r_hand[i], r_hand_flag[i]);
        r_hand[i] = 0;
        r_hand_flag[i] = PLAIN
}

active proctype lane_0() {
end:
    do
    :: atomic { sender_writes(0) }
    :: atomic { lane_reads(0) }
    :: atomic { lane_passes_on(0) }
    od
}
#if LANES > 1
active proctype lane_1() {
end:
    do
    :: atomic { sender_writes(1) }
    :: atomic { lane_reads(1) }
    :: atomic { lane_passes_on(1) }
    od
}
#endif

active proctype sender() {
    byte order, arg, credit, theirs;
    mtype type, flag = PLAIN;

transfer:
    do
    :: atomic { sender_exit == BUSY && nempty(to_sender[s_first]) ->
        to_sender[s_first]?type,order,arg,credit;
        take_reply(type, order, arg, credit); type = 0; order = 0; arg = 0; credit = 0 }
    :: atomic { MAY_SEND && CREDIT && CAN_WRITE -> send_by_first() }
    :: atomic { MAY_SEND && CREDIT_OF(0) && CAN_SEND_BY(0) -> send_by_lane(0) }
#if LANES > 1
    :: atomic { MAY_SEND && CREDIT_OF(1) && CAN_SEND_BY(1) -> send_by_lane(1) }
#endif
#ifdef BUG_LANE_BREAKS_ALONE
    :: atomic { sender_exit == BUSY && A_LANE_BROKE(s_lane) -> close_senders_lane(0) }
    :: atomic { sender_exit == BUSY && broken[s_first] -> close_sender(); goto recover }
#else
    :: atomic { sender_exit == BUSY && (broken[s_first] || A_LANE_BROKE(s_lane)) -> close_sender(); goto recover }
#endif
#ifdef RECEIVER_DIALS
    /* The stream is not as whole as it seems. */
    :: atomic { sender_exit == BUSY && offered -> close_sender(); goto recover }
#endif
#ifdef BUG_LANES_CLOSED_EARLY
    :: atomic { sender_exit == OK && s_next > BYE -> close_senders_lane(0) }
#endif
    /* BYE is written, or lost. The lanes stay open until the receiver has closed the first stream: line_close. */
    :: atomic { sender_exit == OK && broken[s_first] -> close_sender(); goto over }
    od;

recover:
#ifdef RECEIVER_DIALS
    if
    :: atomic { offered ->
        offered = false;
        theirs = offer_processed; offer_processed = 0;
        s_first = dials - 1;
        answer_processed = s_processed;
        answer[s_first] = WELCOME;
        sender_goes_on(theirs);
        theirs = 0;
        goto transfer }
    :: atomic { receiver_exit == FAILED -> sender_exit = FAILED; goto over }
    fi;
#else
    atomic { come_back(s_first, s_processed) }
    if
    :: atomic { answer[s_first] == WELCOME ->
        answer[s_first] = UNUSED;
        sender_goes_on(answer_processed);
        answer_processed = 0;
        goto transfer }
    :: atomic { broken[s_first] -> goto recover }
    :: atomic { receiver_exit != BUSY -> sender_exit = FAILED; goto over }
    fi;
#endif

over:
    atomic {
        assert(sender_exit != OK || (durable == 2 && finished)); /* no false success */
        assert(sender_exit == OK)
    }
#ifdef RECEIVER_DIALS
end_serving:
    do
    :: atomic { offered -> offered = false; answer[dials - 1] = REJECT }
    od
#endif
}

active proctype receiver() {
    byte k, order, theirs;
    mtype flag = PLAIN;

transfer:
    do
    :: atomic { receiver_exit == BUSY && nempty(to_receiver[r_first]) ->
        to_receiver[r_first]?order,flag;
        arrive(order, flag); order = 0; flag = PLAIN }
#ifdef BUG_NO_SEQUENCER
    :: atomic { receiver_exit == BUSY && r_have != 0 ->
        select (k : 1 .. BYE);
        if :: r_have & BIT(k) -> apply(k) :: else fi;
        k = 0 }
#else
    :: atomic { receiver_exit == BUSY && IS_READY -> apply(r_processed + 1) }
#endif
    :: atomic { receiver_exit == BUSY && durable < r_ended -> commit() } /* idle */
    /* An ACK that was due before passes what waits, as in session.pml. */
    :: atomic { a_again < a_next && CAN_ANSWER && r_told != NONE && r_told + 1 >= r_processed -> send_answer() }
    :: atomic { r_told != r_processed && CAN_ANSWER ->
        r_told = r_processed;
        r_granted = r_processed + WINDOW;
        if
        :: broken[r_first] -> skip
        :: else -> to_sender[r_first]!ACK,0,r_processed,r_granted
        fi }
    :: atomic { receiver_exit == OK -> close_receiver(); goto over }
#ifdef BUG_LANE_BREAKS_ALONE
    :: atomic { receiver_exit == BUSY && A_LANE_BROKE(r_lane) && empty(by_lane[r_lane[0]]) -> r_lane[0] = NONE }
    :: atomic { receiver_exit == BUSY && broken[r_first] -> close_receiver(); goto recover }
#else
    :: atomic { receiver_exit == BUSY && (broken[r_first] || A_LANE_BROKE(r_lane)) -> close_receiver(); goto recover }
#endif
#ifndef RECEIVER_DIALS
    :: atomic { receiver_exit == BUSY && offered -> close_receiver(); goto recover }
#endif
    od;

recover:
    atomic {
#ifndef BUG_LANE_NOT_AWAITED
        HANDS_ARE_EMPTY; /* lanes_close waits for the threads */
#endif
        settle();
        if :: receiver_exit == OK -> goto over :: else fi
    }
#ifdef RECEIVER_DIALS
again:
    atomic { come_back(r_first, r_processed) }
    if
    :: atomic { answer[r_first] == WELCOME ->
        answer[r_first] = UNUSED;
        receiver_goes_on(answer_processed);
        answer_processed = 0;
        goto transfer }
    :: atomic { answer[r_first] == REJECT -> receiver_exit = FAILED; goto over }
    :: atomic { broken[r_first] -> goto again }
    fi;
#else
    if
    :: atomic { offered ->
        offered = false;
        theirs = offer_processed; offer_processed = 0;
        r_first = dials - 1;
        answer_processed = r_processed;
        answer[r_first] = WELCOME;
        receiver_goes_on(theirs);
        theirs = 0;
        goto transfer }
    :: atomic { sender_exit != BUSY && !offered -> receiver_exit = FAILED; goto over } /* nobody comes: the grace ends */
    fi;
#endif

over:
    atomic {
        assert(receiver_exit != OK || (durable == 2 && finished));
        assert(receiver_exit == OK || breaks > 0) /* BYE may be lost in a break */
    }
}
