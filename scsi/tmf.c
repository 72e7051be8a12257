/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Task management functions (SAM-5 7).
 *
 * A command is with the storage when it is aborted, and its memory with the kernel, so
 * it cannot be ended by force: it is marked, ends when it ends, as aborted, and then the
 * function is answered.  What is held back ends at once.
 */
#include "scsi/target.h"
#include "util.h"

static void tmf_begin(struct scsi_part *part)
{
	scsi_part_wait(part);
}

/* Units are as after the reset, and say so. */
static void tmf_reset_units(struct scsi_target *target, const struct scsi_match *match,
			    enum scsi_reset why, uint16_t asc_ascq)
{
	const struct scsi_table *luns = &target->luns;
	unsigned int i = scsi_table_seek(luns, match->first);

	for (; i < luns->num && luns->entries[i].key <= match->last; i++) {
		struct scsi_lun *lun = luns->entries[i].item;

		if (lun->storage)
			scsi_unit_reset(lun, why);
		scsi_lun_attention(lun, asc_ascq);
	}
}

static void tmf_done(struct scsi_sweep *sweep)
{
	struct scsi_tmf_request *request = sweep->user;
	enum scsi_tmf_response response = SCSI_TMF_COMPLETE;

	switch (request->function) {
	case SCSI_QUERY_TASK:
	case SCSI_QUERY_TASK_SET:
		if (sweep->found)
			response = SCSI_TMF_SUCCEEDED;
		break;
	case SCSI_LOGICAL_UNIT_RESET:
		tmf_reset_units(sweep->target, &sweep->match, SCSI_RESET_UNIT, SCSI_UA_UNIT_RESET);
		break;
	case SCSI_I_T_NEXUS_RESET:
		tmf_reset_units(sweep->target, &sweep->match, SCSI_RESET_NEXUS, SCSI_UA_NEXUS_LOSS);
		break;
	default:
		break;
	}
	request->done(request, response);
}

/* Which commands the function concerns, and what becomes of them. */
static unsigned int tmf_match(const struct scsi_tmf_request *request, struct scsi_match *match)
{
	static const unsigned int flags[] = {
		[SCSI_ABORT_TASK] = SCSI_CMD_ABORTED,
		[SCSI_ABORT_TASK_SET] = SCSI_CMD_ABORTED,
		[SCSI_CLEAR_TASK_SET] = SCSI_CMD_ABORTED,
		[SCSI_I_T_NEXUS_RESET] = SCSI_CMD_RESET,
		[SCSI_LOGICAL_UNIT_RESET] = SCSI_CMD_RESET,
		[SCSI_QUERY_TASK] = 0,
		[SCSI_QUERY_TASK_SET] = 0,
	};
	unsigned int target = request->address.target;

	match->first = match->last = scsi_address_key(&request->address);
	if (request->function == SCSI_I_T_NEXUS_RESET) {
		match->first = scsi_key(target, 0);
		match->last = scsi_key(target, SCSI_LUNS_MAX - 1);
	}
	match->one = request->function == SCSI_ABORT_TASK || request->function == SCSI_QUERY_TASK;
	match->tag = request->tag;
	return flags[request->function];
}

enum scsi_tmf_response scsi_target_knows(const struct scsi_target *target,
					 const struct scsi_address *address)
{
	if (!scsi_table_any(&target->luns, scsi_key(address->target, 0),
			    scsi_key(address->target, SCSI_LUNS_MAX - 1)))
		return SCSI_TMF_BAD_TARGET;
	if (!address->report_luns && !scsi_table_find(&target->luns, scsi_address_key(address)))
		return SCSI_TMF_INCORRECT_LUN;
	return SCSI_TMF_COMPLETE;
}

/* What is wrong with it, or SCSI_TMF_COMPLETE. */
static enum scsi_tmf_response tmf_check(const struct scsi_target *target,
					const struct scsi_tmf_request *request)
{
	enum scsi_tmf_response response = scsi_target_knows(target, &request->address);

	if (response == SCSI_TMF_BAD_TARGET)
		return response;
	/* There is no auto contingent allegiance to be cleared. */
	if (request->function == SCSI_CLEAR_ACA || request->function > SCSI_QUERY_TASK_SET)
		return SCSI_TMF_REJECTED;
	/* The whole target is meant, whatever unit is named. */
	if (request->function == SCSI_I_T_NEXUS_RESET)
		return SCSI_TMF_COMPLETE;
	/* No command stays with the well-known unit. */
	return request->address.report_luns ? SCSI_TMF_INCORRECT_LUN : response;
}

void scsi_tmf(struct scsi_target *target, struct scsi_tmf_request *request)
{
	enum scsi_tmf_response response = tmf_check(target, request);
	struct scsi_sweep *sweep;

	if (response != SCSI_TMF_COMPLETE) {
		request->done(request, response);
		return;
	}
	pthread_mutex_lock(&target->lock);
	sweep = scsi_sweep_new(target);
	pthread_mutex_unlock(&target->lock);
	if (!sweep) {
		request->done(request, SCSI_TMF_FAILED);
		return;
	}
	sweep->begin = tmf_begin;
	sweep->done = tmf_done;
	sweep->flags = tmf_match(request, &sweep->match);
	sweep->user = request;
	scsi_sweep_start(sweep);
}
