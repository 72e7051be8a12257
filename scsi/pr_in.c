/* SPDX-License-Identifier: BSD-3-Clause */
/* PERSISTENT RESERVE IN (SPC-4 6.15). */
#include <string.h>

#include "scsi/pr.h"

#define PR_STATUS	(24u + PR_TRANSPORT_ID)	/* bytes of a full status descriptor */
#define PR_IN_MAX	(8u + PR_REGISTRATIONS * PR_STATUS)

static size_t in_keys(struct pr_state *pr, uint8_t *p)
{
	unsigned int i;

	for (i = 0; i < pr->count; i++)
		put_be64(p + 8 * i, pr->list[i].key);
	return 8u * pr->count;
}

static size_t in_reservation(struct pr_state *pr, uint8_t *p)
{
	const struct pr_registration *holder = pr_find(pr, pr->holder);

	if (!pr->type)
		return 0;
	/* One for all registrants has no key of its own. */
	put_be64(p, pr_for_all(pr->type) || !holder ? 0 : holder->key);
	p[13] = pr->type;
	return 16;
}

/* 7.6.4; there is no protocol which names initiators, so the number does. */
static void in_transport_id(uint8_t *p, uint32_t initiator)
{
	p[0] = 0x0f;			/* no specific protocol */
	put_be32(&p[PR_TRANSPORT_ID - 4], initiator);
}

static size_t in_full_status(struct pr_state *pr, uint8_t *p)
{
	unsigned int i;

	for (i = 0; i < pr->count; i++, p += PR_STATUS) {
		put_be64(p, pr->list[i].key);
		if (pr_holds(pr, pr->list[i].initiator)) {
			p[12] = 0x01;	/* R_HOLDER */
			p[13] = pr->type;
		}
		put_be16(&p[18], PR_PORT);
		put_be32(&p[20], PR_TRANSPORT_ID);
		in_transport_id(&p[24], pr->list[i].initiator);
	}
	return pr->count * PR_STATUS;
}

/* 6.15.4: CRH, PTPL_C; TMV, PTPL_A; all types. */
static void in_capabilities(struct scsi_cmd *cmd, const struct pr_state *pr)
{
	uint8_t data[8] = { 0x00, 0x08, 0x10, 0x80, 0xea, 0x01 };

	if (pr->dir >= 0)
		data[2] |= 0x01;
	if (pr->aptpl)
		data[3] |= 0x01;
	scsi_reply(cmd, data, sizeof(data), get_be16(&cmd->cdb[7]));
}

void pr_in(struct scsi_cmd *cmd)
{
	static size_t (*const fill[])(struct pr_state *pr, uint8_t *p) = {
		in_keys, in_reservation, NULL, in_full_status,
	};
	const uint8_t action = cmd->cdb[1] & 0x1f;
	uint8_t data[PR_IN_MAX] = { 0 };
	struct pr_state pr;
	size_t len;

	pthread_mutex_lock(&cmd->lun->lock);
	memcpy(&pr, &cmd->lun->pr, sizeof(pr));
	pthread_mutex_unlock(&cmd->lun->lock);
	if (!fill[action]) {
		in_capabilities(cmd, &pr);
		return;
	}
	len = fill[action](&pr, data + 8);
	put_be32(&data[0], pr.generation);
	put_be32(&data[4], (uint32_t)len);
	scsi_reply(cmd, data, 8 + len, get_be16(&cmd->cdb[7]));
}
