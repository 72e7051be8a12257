/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reservations: RESERVE and RELEASE (SPC-2 5.5.1, 7.21 and on), and what persistent ones forbid
 * (SPC-4 5.13); the commands about these are in pr_in.c and pr_out.c.
 *
 * Registrations and reservation are those of initiators, of which scsi_cmd.initiator tells the
 * number.  There is one target port, so no command speaks of others.
 */
#include "scsi/pr.h"

#include <stdlib.h>

static bool pr_for_writes(uint8_t type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_WRITE_EXCLUSIVE_REGISTRANTS ||
	       type == PR_WRITE_EXCLUSIVE_ALL;
}

bool pr_for_all(uint8_t type)
{
	return type == PR_WRITE_EXCLUSIVE_ALL || type == PR_EXCLUSIVE_ACCESS_ALL;
}

bool pr_for_registrants(uint8_t type)
{
	return type >= PR_WRITE_EXCLUSIVE_REGISTRANTS;
}

bool pr_type_valid(uint8_t type)
{
	return pr_for_writes(type) || type == PR_EXCLUSIVE_ACCESS ||
	       type == PR_EXCLUSIVE_ACCESS_REGISTRANTS || type == PR_EXCLUSIVE_ACCESS_ALL;
}

struct pr_registration *pr_find(struct pr_state *pr, uint32_t initiator)
{
	unsigned int i;

	for (i = 0; i < pr->count; i++) {
		if (pr->list[i].initiator == initiator)
			return &pr->list[i];
	}
	return NULL;
}

bool pr_holds(struct pr_state *pr, uint32_t initiator)
{
	if (!pr->type)
		return false;
	return pr_for_all(pr->type) ? pr_find(pr, initiator) != NULL : pr->holder == initiator;
}

/*
 * Conflicts
 */

/* What the CDB says, of PREVENT ALLOW MEDIUM REMOVAL and START STOP UNIT. */
static unsigned int pr_rule(const struct scsi_cmd *cmd, const struct scsi_op *op)
{
	const uint8_t bit = cmd->cdb[4] & 0x01;

	if (!(op->flags & OP_ALWAYS_UNLESS))
		return op->flags;
	return (cmd->cdb[0] == 0x1e ? !bit : bit) ? OP_ALWAYS : 0;
}

static bool pr_forbids(struct pr_state *pr, uint32_t initiator, unsigned int rule)
{
	if (rule & OP_ALWAYS)
		return false;
	if (pr->reserved && pr->reserved_by != initiator)
		return true;
	if (!pr->type || rule & OP_PERSISTENT || pr_holds(pr, initiator))
		return false;
	if (pr_for_registrants(pr->type) && pr_find(pr, initiator))
		return false;
	return !(rule & OP_READS && pr_for_writes(pr->type));
}

bool pr_conflict(const struct scsi_cmd *cmd, const struct scsi_op *op)
{
	struct scsi_lun *lun = cmd->lun;
	bool conflict;

	if (likely(!atomic_load_explicit(&lun->pr.any, memory_order_relaxed)))
		return false;
	pthread_mutex_lock(&lun->lock);
	conflict = pr_forbids(&lun->pr, cmd->initiator, pr_rule(cmd, op));
	pthread_mutex_unlock(&lun->lock);
	return conflict;
}

void pr_note(struct pr_state *pr)
{
	atomic_store(&pr->any, pr->type || pr->reserved);
}

/*
 * RESERVE and RELEASE.  Where there are registrations, they do nothing for those who hold the
 * persistent reservation, or may do everything under it, and are a conflict for others
 * (SPC-4 5.13.3; CRH is told by REPORT CAPABILITIES).
 */

static bool reserve_compatible(struct pr_state *pr, uint32_t initiator)
{
	return pr_holds(pr, initiator) ||
	       (pr_for_registrants(pr->type) && pr_find(pr, initiator));
}

static bool reserve_set(struct scsi_cmd *cmd, bool reserve)
{
	struct pr_state *pr = &cmd->lun->pr;
	bool ok = true;

	pthread_mutex_lock(&cmd->lun->lock);
	if (pr->count) {
		ok = reserve_compatible(pr, cmd->initiator);
	} else if (reserve) {
		ok = !pr->reserved || pr->reserved_by == cmd->initiator;
		if (ok) {
			pr->reserved = true;
			pr->reserved_by = cmd->initiator;
		}
	} else if (pr->reserved_by == cmd->initiator) {
		pr->reserved = false;
	}
	pr_note(pr);
	pthread_mutex_unlock(&cmd->lun->lock);
	return ok;
}

void pr_reserve(struct scsi_cmd *cmd)
{
	scsi_end(cmd, reserve_set(cmd, true) ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
}

void pr_release(struct scsi_cmd *cmd)
{
	scsi_end(cmd, reserve_set(cmd, false) ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
}

/*
 * Life
 */

int pr_init(struct scsi_lun *lun, char *why, size_t why_size)
{
	struct pr_state *pr = &lun->pr;
	int err = 0;

	pr->dir = -1;
	pr->name = NULL;
	pthread_mutex_init(&pr->file_lock, NULL);
	if (lun->params.reservations)
		err = pr_load(pr, lun->params.reservations, why, why_size);
	if (err)
		pr_exit(lun);
	else
		pr_note(pr);
	return err;
}

void pr_exit(struct scsi_lun *lun)
{
	close_fd(&lun->pr.dir);
	free(lun->pr.name);
	lun->pr.name = NULL;
	pthread_mutex_destroy(&lun->pr.file_lock);
}

/* 5.13.5, and SPC-2 5.5.1: a reset ends what RESERVE has made, the loss of power all but APTPL. */
void pr_reset(struct scsi_lun *lun, enum scsi_reset why)
{
	struct pr_state *pr = &lun->pr;

	pthread_mutex_lock(&lun->lock);
	pr->reserved = false;
	if (why == SCSI_RESET_POWER_ON) {
		pr->generation = 0;
		if (!pr->aptpl) {
			pr->count = 0;
			pr->type = PR_NONE;
		}
	}
	pr_note(pr);
	pthread_mutex_unlock(&lun->lock);
}
