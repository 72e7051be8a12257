/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PERSISTENT RESERVE OUT (SPC-4 6.16).
 *
 * A command which changes registrations or reservation works on a copy of the state, which takes
 * its place when all has gone well, the file included.
 */
#include <string.h>

#include "scsi/pr.h"

/* Service actions of PERSISTENT RESERVE OUT. */
enum pr_action {
	PR_REGISTER, PR_RESERVE, PR_RELEASE, PR_CLEAR, PR_PREEMPT, PR_PREEMPT_AND_ABORT,
	PR_REGISTER_AND_IGNORE, PR_REGISTER_AND_MOVE,
};

/* Unit attentions of the other initiators (5.13.11). */
enum pr_attention {
	PR_PREEMPTED = 0x2a03,		/* RESERVATIONS PREEMPTED */
	PR_RELEASED = 0x2a04,		/* RESERVATIONS RELEASED */
	PR_UNREGISTERED = 0x2a05,	/* REGISTRATIONS PREEMPTED */
};

/* What a command does when it cannot be done: one of these or sense. */
#define PR_OK		0u
#define PR_CONFLICT	1u

#define PR_LIST		24u		/* bytes of the parameter list, but for REGISTER AND MOVE */

struct pr_request {
	struct scsi_cmd *cmd;
	uint32_t initiator;
	enum pr_action action;
	uint8_t scope, type;
	uint64_t key, action_key;
	bool aptpl;
	/* of REGISTER AND MOVE */
	bool unregister;
	uint32_t to;

	struct pr_state pr;		/* the copy */
	bool save;			/* the file is to follow */
	unsigned int others;		/* initiators who are to get a unit attention */
	uint16_t attention;		/* which: the last one */
};

/* Tell another initiator. */
static void pr_tell(struct pr_request *r, uint32_t initiator, enum pr_attention attention)
{
	if (initiator == r->initiator)
		return;
	r->others++;
	r->attention = attention;
}

static void pr_tell_all(struct pr_request *r, enum pr_attention attention)
{
	unsigned int i;

	for (i = 0; i < r->pr.count; i++)
		pr_tell(r, r->pr.list[i].initiator, attention);
}

/* The reservation ends; those of registrants tell the others (5.13.11.2). */
static void pr_drop(struct pr_request *r)
{
	if (pr_for_registrants(r->pr.type))
		pr_tell_all(r, PR_RELEASED);
	r->pr.type = PR_NONE;
}

static void pr_unregister(struct pr_request *r, struct pr_registration *reg)
{
	const uint32_t initiator = reg->initiator;
	const bool last = r->pr.count == 1;
	const bool held = pr_holds(&r->pr, initiator);

	memmove(reg, reg + 1, (size_t)(&r->pr.list[r->pr.count] - (reg + 1)) * sizeof(*reg));
	r->pr.count--;
	/* One for all registrants lasts as long as there is one. */
	if (held && (last || !pr_for_all(r->pr.type)))
		pr_drop(r);
}

static uint32_t pr_add(struct pr_request *r, uint32_t initiator, uint64_t key)
{
	if (r->pr.count == PR_REGISTRATIONS)
		return SENSE_NO_REGISTRATION;
	r->pr.list[r->pr.count++] = (struct pr_registration){ initiator, key };
	return PR_OK;
}

/* 5.13.7; REGISTER and REGISTER AND IGNORE EXISTING KEY */
static uint32_t out_register(struct pr_request *r)
{
	struct pr_registration *reg = pr_find(&r->pr, r->initiator);
	uint32_t result = PR_OK;

	if (r->action == PR_REGISTER && r->key != (reg ? reg->key : 0))
		return PR_CONFLICT;
	if (reg && r->action_key)
		reg->key = r->action_key;
	else if (reg)
		pr_unregister(r, reg);
	else if (r->action_key)
		result = pr_add(r, r->initiator, r->action_key);
	if (result)
		return result;
	r->pr.generation++;
	r->pr.aptpl = r->aptpl;
	r->save = true;
	return PR_OK;
}

/* Scope LU_SCOPE and a type there is (6.16.2): in the CDB. */
static uint32_t out_check_type(const struct pr_request *r)
{
	return r->scope || !pr_type_valid(r->type) ? SENSE_BAD_CDB : PR_OK;
}

/* 5.13.9 */
static uint32_t out_reserve(struct pr_request *r)
{
	if (out_check_type(r))
		return SENSE_BAD_CDB;
	if (r->pr.type)
		return pr_holds(&r->pr, r->initiator) && r->pr.type == r->type ? PR_OK
									       : PR_CONFLICT;
	r->pr.type = r->type;
	r->pr.holder = r->initiator;
	r->save = true;
	return PR_OK;
}

/* 5.13.11.2.1 */
static uint32_t out_release(struct pr_request *r)
{
	if (!pr_holds(&r->pr, r->initiator))
		return PR_OK;
	if (r->scope || r->type != r->pr.type)
		return SENSE_BAD_RELEASE;
	pr_drop(r);
	r->save = true;
	return PR_OK;
}

/* 5.13.11.2.5 */
static uint32_t out_clear(struct pr_request *r)
{
	pr_tell_all(r, PR_PREEMPTED);
	r->pr.count = 0;
	r->pr.type = PR_NONE;
	r->pr.generation++;
	r->save = true;
	return PR_OK;
}

/* Unregister all with this key, or any but the initiator itself if 0; how many there were. */
static unsigned int preempt_remove(struct pr_request *r, uint64_t key)
{
	unsigned int i = 0, n = 0;

	while (i < r->pr.count) {
		struct pr_registration *reg = &r->pr.list[i];

		if (key && reg->key != key) {
			i++;
			continue;
		}
		n += key != 0 || reg->initiator != r->initiator;
		if (reg->initiator == r->initiator) {
			i++;
			continue;
		}
		pr_tell(r, reg->initiator, PR_UNREGISTERED);
		memmove(reg, reg + 1,
			(size_t)(&r->pr.list[r->pr.count] - (reg + 1)) * sizeof(*reg));
		r->pr.count--;
	}
	return n;
}

/* The reservation becomes the initiator's. */
static void preempt_take(struct pr_request *r)
{
	const uint8_t before = r->pr.type;

	preempt_remove(r, r->action_key);
	r->pr.type = r->type;
	r->pr.holder = r->initiator;
	if (before != r->type)
		pr_tell_all(r, PR_RELEASED);
}

static bool preempt_is_holder(struct pr_request *r)
{
	const struct pr_registration *holder;

	if (!r->pr.type)
		return false;
	if (pr_for_all(r->pr.type))
		return !r->action_key;
	holder = pr_find(&r->pr, r->pr.holder);
	return holder && holder->key == r->action_key;
}

/* 5.13.11.2.3; there are no other initiators' commands which could be aborted */
static uint32_t out_preempt(struct pr_request *r)
{
	if (out_check_type(r))
		return SENSE_BAD_CDB;
	if (preempt_is_holder(r))
		preempt_take(r);
	else if (!r->action_key)
		return SENSE_BAD_PARAM;
	else if (!preempt_remove(r, r->action_key))
		return PR_CONFLICT;
	r->pr.generation++;
	r->save = true;
	return PR_OK;
}

/* 5.13.8 */
static uint32_t out_move(struct pr_request *r)
{
	struct pr_registration *reg;
	uint32_t result;

	if (!r->pr.type || pr_for_all(r->pr.type) || r->pr.holder != r->initiator)
		return PR_CONFLICT;
	if (!r->action_key || r->to == r->initiator)
		return SENSE_BAD_PARAM;
	reg = pr_find(&r->pr, r->to);
	if (reg) {
		reg->key = r->action_key;
	} else {
		result = pr_add(r, r->to, r->action_key);
		if (result)
			return result;
	}
	r->pr.holder = r->to;
	if (r->unregister)
		pr_unregister(r, pr_find(&r->pr, r->initiator));
	r->pr.generation++;
	r->pr.aptpl = r->aptpl;
	r->save = true;
	return PR_OK;
}

static uint32_t out_act(struct pr_request *r)
{
	static uint32_t (*const act[])(struct pr_request *r) = {
		[PR_REGISTER] = out_register, [PR_RESERVE] = out_reserve,
		[PR_RELEASE] = out_release, [PR_CLEAR] = out_clear,
		[PR_PREEMPT] = out_preempt, [PR_PREEMPT_AND_ABORT] = out_preempt,
		[PR_REGISTER_AND_IGNORE] = out_register, [PR_REGISTER_AND_MOVE] = out_move,
	};
	const struct pr_registration *reg = pr_find(&r->pr, r->initiator);

	/* All others need a registration, and its key (5.13.4). */
	if (act[r->action] != out_register && (!reg || reg->key != r->key))
		return PR_CONFLICT;
	return act[r->action](r);
}

/* REGISTER AND MOVE has a list of its own (6.16.4): UNREG, APTPL, the port, a TransportID. */
static uint32_t out_parse_move(struct pr_request *r, const uint8_t *p, size_t len)
{
	const uint8_t *id = p + PR_LIST;

	if (len != PR_LIST + PR_TRANSPORT_ID || get_be32(&p[20]) != PR_TRANSPORT_ID)
		return SENSE_LIST_LENGTH;
	if (p[16] || p[17] & ~0x03 || get_be16(&p[18]) != PR_PORT || id[0] != 0x0f)
		return SENSE_BAD_PARAM;
	r->unregister = p[17] & 0x02;
	r->to = get_be32(&id[PR_TRANSPORT_ID - 4]);
	return PR_OK;
}

/* 6.16.3: SPEC_I_PT and ALL_TG_PT are not supported, says REPORT CAPABILITIES. */
static uint32_t out_parse(struct pr_request *r, const uint8_t *p, size_t len)
{
	const bool move = r->action == PR_REGISTER_AND_MOVE;
	uint32_t result = PR_OK;

	if (move)
		result = out_parse_move(r, p, len);
	else if (len != PR_LIST)
		result = SENSE_LIST_LENGTH;
	if (result)
		return result;
	r->key = get_be64(&p[0]);
	r->action_key = get_be64(&p[8]);
	if (move) {
		r->aptpl = p[17] & 0x01;
	} else {
		const bool registers = r->action == PR_REGISTER ||
				       r->action == PR_REGISTER_AND_IGNORE;

		if (registers && p[20] & ~0x01)
			return SENSE_BAD_PARAM;
		r->aptpl = registers && p[20] & 0x01;
	}
	return r->aptpl && r->cmd->lun->pr.dir < 0 ? SENSE_BAD_PARAM : PR_OK;
}

/* With file_lock held. */
static uint32_t out_run(struct pr_request *r)
{
	struct scsi_lun *lun = r->cmd->lun;
	uint32_t result;

	pthread_mutex_lock(&lun->lock);
	memcpy(&r->pr, &lun->pr, sizeof(r->pr));
	pthread_mutex_unlock(&lun->lock);
	result = out_act(r);
	if (result)
		return result;
	if (r->save && r->pr.dir >= 0 && (r->pr.aptpl || lun->pr.aptpl) && pr_save(&r->pr))
		return SENSE_TARGET_FAILURE;
	pthread_mutex_lock(&lun->lock);
	memcpy(lun->pr.list, r->pr.list, sizeof(r->pr.list));
	lun->pr.count = r->pr.count;
	lun->pr.generation = r->pr.generation;
	lun->pr.type = r->pr.type;
	lun->pr.holder = r->pr.holder;
	lun->pr.aptpl = r->pr.aptpl;
	pr_note(&lun->pr);
	pthread_mutex_unlock(&lun->lock);
	return PR_OK;
}

static void out_end(struct pr_request *r, uint32_t result, size_t len)
{
	struct scsi_cmd *cmd = r->cmd;

	if (result == PR_CONFLICT) {
		scsi_end(cmd, SCSI_RESERVATION_CONFLICT);
	} else if (result) {
		scsi_fail(cmd, result);
	} else {
		if (r->others)
			scsi_lun_attention(cmd->lun, r->attention);
		cmd->transferred = len;
		scsi_good(cmd);
	}
}

void pr_out(struct scsi_cmd *cmd)
{
	struct pr_request r = {
		.cmd = cmd, .initiator = cmd->initiator, .action = cmd->cdb[1] & 0x1f,
		.scope = cmd->cdb[2] >> 4, .type = cmd->cdb[2] & 0x0f,
	};
	const uint32_t len = get_be32(&cmd->cdb[5]);
	uint8_t list[PR_LIST + PR_TRANSPORT_ID] = { 0 };
	uint32_t result;

	if (!scsi_given(cmd, len))
		return;
	scsi_param(cmd, 0, list, MIN(len, sizeof(list)));
	result = out_parse(&r, list, len);
	if (!result) {
		pthread_mutex_lock(&cmd->lun->pr.file_lock);
		result = out_run(&r);
		pthread_mutex_unlock(&cmd->lun->pr.file_lock);
	}
	out_end(&r, result, len);
}
