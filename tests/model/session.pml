/* session.pml: a model of one transfer: greeting, credit, order, refused data, breaks and resumption, commit, goodbye.
 *
 * docs/protocol.md is the text ("Order and credit", "Damaged data", "The end", "Resumption"); the code is named where it is
 * modelled. Checked by scripts/model.sh: no assertion fails, no end state is invalid, and nothing goes in circles, which
 * with finitely many breaks means that every run ends. Compile-time choices:
 *   BREAKS        how often a stream breaks, in any phase, at most
 *   FLIPS         how many data frames are damaged on their way, at most
 *   WINDOW        credit, in frames (each costs 1)
 *   RECEIVER_DIALS  else the sender does
 *   GRACE         the listener may give a broken session up
 *   CRASH         the receiver may be killed once and started anew: what is not durable is lost
 *   BUG_...       a deliberate mistake, which has to be found
 * Without GRACE and CRASH everything must end well (`finish`).
 *
 * What is left out: heartbeats and timeouts (an end may see a break at any time after it), the credit of replies, which
 * are few, and trees: there are two files, one that travels as a chunk and one in a bundle.
 */
#ifndef BREAKS
#define BREAKS 2
#endif
#ifndef FLIPS
#define FLIPS 1
#endif
#ifndef WINDOW
#define WINDOW 2
#endif

#define FILES 2
#ifdef CRASH
#define STREAMS (BREAKS + 4) /* each dial makes one; only a break, or a lost session, leads to another dial */
#else
#define STREAMS (BREAKS + 2)
#endif
#define ORDERS 12
#define NONE 255

mtype = { CHUNK, BUNDLE, VOID, SYNC, FINISH, BYE, DURABLE, REFUSED, FINISH_ACK, ACK };
mtype = { WELCOME, REJECT };
mtype = { BUSY, OK, FAILED };

/* message, order (0: not ordered), argument (file, order or credit), flag */
#define PLAIN 0
#define RESENT 1
#define DAMAGED 2
chan to_receiver[STREAMS] = [6] of { mtype, byte, byte, byte };
chan to_sender[STREAMS] = [6] of { mtype, byte, byte, byte };
bool broken[STREAMS];
byte streams, breaks, flips; /* used */

/* The dialler's HELLO, until the listener answers; a later one takes its place (line_offer). */
bool offered, offer_is_new;
byte offer_stream, offer_processed;
chan answer[STREAMS] = [1] of { mtype, byte };
bool gone; /* the listener has ended: nobody can be dialled */

/* The disk, which outlives the receiver. */
bool durable[FILES];
bool names_durable; /* of directories and links: flushed at FINISH */

mtype sender_exit = BUSY, receiver_exit = BUSY;
#ifdef CRASH
bool crashed;
#endif

/* ---- sender: flight.c, outbox.c, ledger.c, send_session.c -------------------------------------------------------- */
byte s_stream;
mtype f_type[ORDERS]; /* flight: what was sent under each order */
byte f_file[ORDERS];
byte s_next = 1; /* next new order */
byte s_again = 1; /* next order to send; below s_next after a break */
byte s_spent, s_limit = WINDOW;
byte s_processed; /* replies */
byte s_acked; /* of ours, as the receiver told */
bool s_want[FILES], s_settled[FILES], s_sync, s_finished;

/* ---- receiver: link.c, recv_session.c, unpack.c, sink_commit.c ----------------------------------------------------- */
byte r_stream;
byte r_next = 1; /* order that comes next */
byte r_processed, r_told; /* told: in the last ACK */
byte r_used, r_granted = WINDOW;
mtype r_type[ORDERS]; /* what has arrived well */
byte r_file[ORDERS];
bool r_have[ORDERS], r_awaited[ORDERS];
bool r_batch[FILES], r_done[FILES];
bool r_finished;
mtype a_type[ORDERS]; /* answers: the receiver's flight */
byte a_arg[ORDERS];
byte a_next = 1, a_again = 1;
bool r_fresh = true; /* has no session */

#define ALL_SETTLED (s_settled[0] && s_settled[1])

inline forget_sender() {
    d_step {
        s_next = 1; s_again = 1; s_spent = 0; s_limit = WINDOW; s_processed = 0; s_acked = 0; s_finished = false;
        s_want[0] = !durable[0]; s_want[1] = !durable[1]; /* the verdicts: what is there is skipped */
        s_settled[0] = durable[0]; s_settled[1] = durable[1];
        s_sync = true;
    }
}

inline forget_receiver() {
    d_step {
        r_next = 1; r_processed = 0; r_told = 0; r_used = 0; r_granted = WINDOW; r_finished = false;
        a_next = 1; a_again = 1;
        k = 0;
        do
        :: k < ORDERS -> r_have[k] = false; r_awaited[k] = false; k++
        :: else -> break
        od;
        k = 0;
        r_batch[0] = false; r_batch[1] = false;
        r_done[0] = durable[0]; r_done[1] = durable[1];
    }
}

/* A new ordered message of the sender: its place in the flight. */
inline number(n_type, n_file) {
    assert(s_next < ORDERS);
    f_type[s_next] = n_type; f_file[s_next] = n_file; s_next++
}

#define CAN_WRITE (nfull(to_receiver[s_stream]))
#define CAN_ANSWER (nfull(to_sender[r_stream]))

#define CAN_SEND (CAN_WRITE && s_spent < s_limit)
#define NEW_MAY_LEAVE (CAN_SEND && s_again == s_next && sender_exit == BUSY)

inline write_to_receiver(w_type, w_order, w_arg, w_flag) {
    if
    :: broken[s_stream] -> skip /* lost, but it is in the flight */
    :: else -> to_receiver[s_stream]!w_type,w_order,w_arg,w_flag
    fi
}

/* The next ordered message; data may be damaged on its way. */
inline send_one() {
    if
    :: (f_type[s_again] == CHUNK || f_type[s_again] == BUNDLE) && flips < FLIPS && !broken[s_stream] ->
        flips++;
        write_to_receiver(f_type[s_again], s_again, f_file[s_again], DAMAGED)
    :: write_to_receiver(f_type[s_again], s_again, f_file[s_again], PLAIN)
    fi;
    s_spent++;
    s_again++
}

/* ledger_want_again: the members of a bundle come again, under new orders. */
inline want_again(g_file) {
    s_want[g_file] = true;
    s_sync = true
}

inline take_refused(refused) {
    if
    :: refused == 0 -> skip /* taken back */
    :: else ->
        assert(refused > s_acked && refused < s_next); /* else a violation */
        assert(f_type[refused] == CHUNK || f_type[refused] == BUNDLE);
        if
        :: f_type[refused] == CHUNK -> write_to_receiver(CHUNK, refused, f_file[refused], RESENT)
        :: else ->
            f_type[refused] = VOID; /* flight_void */
            write_to_receiver(VOID, refused, 0, RESENT);
            want_again(f_file[refused])
        fi
    fi
}

inline take_reply(t_type, t_order, t_arg) {
    if
    :: t_type == ACK ->
        if :: t_order > s_acked -> s_acked = t_order :: else fi;
        if :: t_arg > s_limit -> s_limit = t_arg :: else fi
    :: else ->
        assert(t_order == s_processed + 1); /* in order, each once */
        s_processed = t_order;
        if
        :: t_type == DURABLE ->
            assert(durable[t_arg]); /* no acknowledgement before it is true */
            assert(!s_settled[t_arg]);
            s_settled[t_arg] = true
        :: t_type == REFUSED -> take_refused(t_arg)
        :: t_type == FINISH_ACK ->
            assert(s_finished);
            number(BYE, 0);
            sender_exit = OK
        fi
    fi
}

/* What the receiver has not processed is sent again (flight_take, outbox_rewind, send_session_prepare). */
inline sender_goes_on(told_s) {
    assert(told_s >= s_acked && told_s < s_next); /* else a violation */
    s_acked = told_s;
#ifndef BUG_FLIGHT_FORGOTTEN
#ifndef BUG_COST_KEPT
    s_spent = told_s;
#endif
    s_again = told_s + 1;
    n = s_again;
    do
    :: n < s_next ->
#ifndef BUG_BUNDLE_SENT_AGAIN
        if
        :: f_type[n] == BUNDLE -> f_type[n] = VOID; want_again(f_file[n])
        :: else
        fi;
#else
        if
        :: f_type[n] == BUNDLE -> want_again(f_file[n])
        :: else
        fi;
#endif
        n++
    :: else -> break
    od;
#endif
    n = 0
}

/* ---- the receiver's steps ------------------------------------------------------------------------------------------ */

inline reply(p_type, p_arg) {
    assert(a_next < ORDERS);
    a_type[a_next] = p_type; a_arg[a_next] = p_arg; a_next++
}

inline commit_one(c_file) {
    if
    :: r_batch[c_file] ->
        r_batch[c_file] = false;
        r_done[c_file] = true;
#ifndef BUG_ACK_BEFORE_FLUSH
        durable[c_file] = true;
#endif
        reply(DURABLE, c_file)
    :: else
    fi
}

inline commit() {
    commit_one(0);
    commit_one(1)
}

inline arrive(v_type, v_order, v_arg, v_flag) {
    if
    :: v_flag == RESENT ->
        assert(v_order < r_next && r_awaited[v_order]); /* refusals_answer */
        r_awaited[v_order] = false;
        r_have[v_order] = true; r_type[v_order] = v_type; r_file[v_order] = v_arg
    :: else ->
        assert(v_order == r_next); /* link_in_arrived */
        assert(r_used < r_granted); /* more than its credit */
        r_next++;
        r_used++;
        if
        :: v_flag == DAMAGED -> r_awaited[v_order] = true; reply(REFUSED, v_order)
        :: else -> r_have[v_order] = true; r_type[v_order] = v_type; r_file[v_order] = v_arg
        fi
    fi
}

/* recv_session_apply of the next order, which is there. */
inline apply() {
    n = r_processed + 1;
    if
    :: r_type[n] == CHUNK || r_type[n] == BUNDLE ->
        assert(!r_batch[r_file[n]] && !r_done[r_file[n]]); /* each once */
        r_batch[r_file[n]] = true
    :: r_type[n] == VOID -> skip
    :: r_type[n] == SYNC -> commit()
    :: r_type[n] == FINISH ->
        commit();
        assert(r_done[0] && r_done[1]); /* totals */
#ifndef BUG_ACK_BEFORE_FLUSH
        names_durable = true;
#endif
        r_finished = true;
        reply(FINISH_ACK, 0)
    :: r_type[n] == BYE ->
        assert(r_finished);
        receiver_exit = OK
    fi;
    r_processed = n;
    n = 0
}

#define CAN_APPLY (r_have[r_processed + 1])

/* receiver.c, settle: what is in order is applied, the rest forgotten. */
inline settle() {
#ifdef BUG_COUNTS_WHAT_ARRIVED
    r_processed = r_next - 1;
#else
    do
    :: CAN_APPLY && receiver_exit == BUSY -> apply()
    :: else -> break
    od;
#endif
    k = r_processed + 1;
    do
    :: k < r_next -> r_have[k] = false; r_awaited[k] = false; k++
    :: else -> break
    od;
    k = 0;
    r_next = r_processed + 1;
    r_used = r_processed
}

/* prepare_again: REFUSED is taken back, all answers that the sender has not processed leave again, and an ACK is due. */
inline receiver_goes_on(told_r) {
    assert(told_r < a_next);
    a_again = told_r + 1;
    k = a_again;
    do
    :: k < a_next ->
#ifndef BUG_REFUSED_KEPT
        if :: a_type[k] == REFUSED -> a_arg[k] = 0 :: else fi;
#endif
        k++
    :: else -> break
    od;
    k = 0;
    r_told = NONE
}

/* ---- coming back: recover.c, registry.c, serve.c, endpoint.c --------------------------------------------------------- */

/* HELLO on a new stream; `mine` is its number. */
inline say_hello(mine, h_new, h_processed) {
    assert(streams < STREAMS);
    mine = streams;
    streams++;
    offer_stream = mine; offer_is_new = h_new; offer_processed = h_processed; offered = true
}

/* The listener's loop takes an offer when it has none of its own to finish. An offer for a session that is over is
 * refused. */
inline refuse_offer() {
    offered = false;
    if
    :: !broken[offer_stream] -> answer[offer_stream]!REJECT,0
    :: else
    fi
}

active proctype breaker() {
end:
    do
    :: atomic { breaks < BREAKS && streams > 0 && !broken[streams - 1] && (sender_exit == BUSY || receiver_exit == BUSY) ->
        broken[streams - 1] = true; breaks++ }
    od
}

active proctype sender() {
    byte n, order, arg, theirs;
    mtype type;
    bool fresh = true;
    atomic { forget_sender() }
    goto recover;

transfer:
    do
    :: atomic { sender_exit == BUSY && nempty(to_sender[s_stream]) ->
        to_sender[s_stream]?type,order,arg,_;
        take_reply(type, order, arg); type = 0; order = 0; arg = 0 }
    :: atomic { CAN_SEND && s_again < s_next -> send_one() }
    /* Something new, which gets its order as it leaves. */
    :: atomic { NEW_MAY_LEAVE && s_want[0] -> s_want[0] = false; number(CHUNK, 0); send_one() }
    :: atomic { NEW_MAY_LEAVE && !s_want[0] && s_want[1] -> s_want[1] = false; number(BUNDLE, 1); send_one() }
    :: atomic { NEW_MAY_LEAVE && !s_want[0] && !s_want[1] && s_sync -> s_sync = false; number(SYNC, 0); send_one() }
    :: atomic { NEW_MAY_LEAVE && ALL_SETTLED && !s_want[0] && !s_want[1] && !s_sync && !s_finished ->
        s_finished = true;
        number(FINISH, 0);
        send_one();
#ifdef BUG_NO_FINISH_ACK
        number(BYE, 0);
        sender_exit = OK
#endif
    }
    /* BYE is written, or lost: either way this end is done (line_reading_over). */
    :: atomic { sender_exit == OK && (s_again == s_next || broken[s_stream]) -> goto over }
    :: atomic { sender_exit == BUSY && broken[s_stream] -> goto recover }
#ifdef RECEIVER_DIALS
    :: atomic { sender_exit == BUSY && offered -> goto recover } /* the stream is not as whole as it seems */
#endif
    od;

recover:
#ifdef RECEIVER_DIALS
    if
    :: atomic { offered ->
        offered = false;
        theirs = offer_processed;
        s_stream = offer_stream;
        answer[s_stream]!WELCOME,s_processed;
        if
        :: offer_is_new -> forget_sender(); fresh = false
        :: else -> sender_goes_on(theirs)
        fi;
        theirs = 0;
        goto transfer }
#ifdef GRACE
    :: atomic { !fresh && sender_exit == BUSY -> sender_exit = FAILED; goto over }
#endif
    :: atomic { receiver_exit == FAILED -> sender_exit = FAILED; goto over }
    fi;
#else
    atomic { say_hello(s_stream, fresh, s_processed) }
    if
    :: atomic { answer[s_stream]?type,theirs ->
        if
        :: type == WELCOME ->
            if
            :: fresh -> forget_sender()
            :: else -> sender_goes_on(theirs)
            fi;
            fresh = false; type = 0; theirs = 0;
            goto transfer
        :: else -> /* not known any more: a new session */
            fresh = true; type = 0; theirs = 0;
            goto recover
        fi }
    :: atomic { broken[s_stream] -> goto recover }
    :: atomic { gone -> sender_exit = FAILED; goto over }
    fi;
#endif

over:
    atomic {
        assert(sender_exit != OK || (durable[0] && durable[1] && names_durable)); /* no false success */
#if !defined(GRACE) && !defined(CRASH)
        assert(sender_exit == OK);
#endif
    }
#ifdef RECEIVER_DIALS
end_serving:
    do
#ifdef BUG_FINISHED_IS_NEW
    :: atomic { offered -> offered = false; s_stream = offer_stream; answer[s_stream]!WELCOME,0; sender_exit = BUSY;
        forget_sender(); goto transfer }
#else
    :: atomic { offered -> refuse_offer() }
#endif
    od
#endif
}

active proctype receiver() {
    byte n, k, order, arg, flag, theirs;
    mtype type;
    atomic { forget_receiver() }
    goto recover;

transfer:
    do
    :: atomic { receiver_exit == BUSY && nempty(to_receiver[r_stream]) ->
        to_receiver[r_stream]?type,order,arg,flag;
        arrive(type, order, arg, flag); type = 0; order = 0; arg = 0; flag = 0 }
    :: atomic { receiver_exit == BUSY && CAN_APPLY -> apply() }
    :: atomic { receiver_exit == BUSY && (r_batch[0] || r_batch[1]) -> commit() } /* idle */
    /* An ACK that was due before passes what waits: the last one may be a message behind (outbox.c, link_in_done). */
    :: atomic { a_again < a_next && CAN_ANSWER && r_told != NONE && r_told + 1 >= r_processed ->
        if
        :: broken[r_stream] -> skip
        :: else -> to_sender[r_stream]!a_type[a_again],a_again,a_arg[a_again],PLAIN
        fi;
        a_again++ }
    :: atomic { r_told != r_processed && CAN_ANSWER ->
        r_told = r_processed;
        r_granted = r_processed + WINDOW;
        if
        :: broken[r_stream] -> skip
        :: else -> to_sender[r_stream]!ACK,r_processed,r_granted,PLAIN
        fi }
    :: atomic { receiver_exit == OK -> goto over }
    :: atomic { receiver_exit == BUSY && broken[r_stream] -> goto recover }
#ifndef RECEIVER_DIALS
    :: atomic { receiver_exit == BUSY && offered && !offer_is_new -> goto recover }
#ifdef CRASH
    :: atomic { !crashed -> crashed = true; forget_receiver(); r_fresh = true; broken[r_stream] = true; goto recover }
#endif
#endif
    od;

recover:
#ifdef RECEIVER_DIALS
    atomic {
        if :: !r_fresh -> settle() :: else fi;
        if :: receiver_exit == OK -> goto over :: else fi;
        say_hello(r_stream, r_fresh, r_processed)
    }
    if
    :: atomic { answer[r_stream]?type,theirs ->
        if
        :: type == WELCOME ->
#ifdef BUG_FINISHED_IS_NEW
            assert(r_fresh || theirs + 1 >= a_again || theirs > 0 || a_next == 1);
#endif
            if
            :: r_fresh -> forget_receiver()
            :: else -> receiver_goes_on(theirs)
            fi;
            r_fresh = false; type = 0; theirs = 0;
            goto transfer
        :: else -> receiver_exit = FAILED; type = 0; theirs = 0; goto over /* --once: there is no other session */
        fi }
    :: atomic { broken[r_stream] -> goto recover }
    :: atomic { gone -> receiver_exit = FAILED; goto over }
    fi;
#else
    atomic {
        if :: !r_fresh -> settle() :: else fi;
        if :: receiver_exit == OK -> goto over :: else fi
    }
    if
    :: atomic { offered && offer_is_new -> /* the first one, or --once makes way for it (replace_the_one) */
        offered = false;
        r_stream = offer_stream;
        forget_receiver();
        r_fresh = false;
        answer[r_stream]!WELCOME,0;
        goto transfer }
    :: atomic { offered && !offer_is_new && !r_fresh ->
        offered = false;
        theirs = offer_processed;
        r_stream = offer_stream;
        answer[r_stream]!WELCOME,r_processed;
        receiver_goes_on(theirs);
        theirs = 0;
        goto transfer }
    :: atomic { offered && !offer_is_new && r_fresh -> refuse_offer(); goto recover }
#ifdef GRACE
    :: atomic { !r_fresh -> receiver_exit = FAILED; goto over }
#endif
    :: atomic { sender_exit != BUSY && !offered -> receiver_exit = FAILED; goto over } /* nobody comes: the grace ends */
    fi;
#endif

over:
    atomic {
        assert(receiver_exit != OK || (durable[0] && durable[1] && names_durable));
#if !defined(RECEIVER_DIALS)
        gone = true;
#endif
#if !defined(GRACE) && !defined(CRASH)
        assert(receiver_exit == OK || breaks > 0); /* BYE may be lost in a break */
#endif
    }
}
