/* SPDX-License-Identifier: BSD-3-Clause */
/* Logical units: how they begin and end, and their unit attentions (SAM-5 5.14). */
#include "scsi/lun.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/pass.h"
#include "scsi/target.h"
#include "util.h"

#define CDROM_BLOCK	2048u

/*
 * Unit attentions
 */

static void lun_set_attentions(struct scsi_lun *lun, unsigned int n)
{
	atomic_store_explicit(&lun->attentions, n, memory_order_relaxed);
}

/* Under the lock: place of this one, or the number of all. */
static unsigned int lun_find_attention(const struct scsi_lun *lun, uint16_t asc_ascq)
{
	unsigned int n = atomic_load_explicit(&lun->attentions, memory_order_relaxed), i;

	for (i = 0; i < n && lun->attention[i] != asc_ascq; i++)
		;
	return i;
}

/* Under the lock. */
static void lun_del_attention(struct scsi_lun *lun, unsigned int i)
{
	unsigned int n = atomic_load_explicit(&lun->attentions, memory_order_relaxed) - 1;

	memmove(&lun->attention[i], &lun->attention[i + 1],
		(n - i) * sizeof(lun->attention[0]));
	lun_set_attentions(lun, n);
}

void scsi_lun_attention(struct scsi_lun *lun, uint16_t asc_ascq)
{
	unsigned int n;

	pthread_mutex_lock(&lun->lock);
	n = atomic_load_explicit(&lun->attentions, memory_order_relaxed);
	if (lun_find_attention(lun, asc_ascq) == n && n < SCSI_ATTENTIONS_MAX) {
		lun->attention[n] = asc_ascq;
		lun_set_attentions(lun, n + 1);
	}
	pthread_mutex_unlock(&lun->lock);
}

bool scsi_lun_take_attention(struct scsi_lun *lun, uint16_t *asc_ascq)
{
	bool found;

	/* The common case costs no lock; one which comes just now is for the next command. */
	if (likely(!atomic_load_explicit(&lun->attentions, memory_order_relaxed)))
		return false;
	pthread_mutex_lock(&lun->lock);
	found = atomic_load_explicit(&lun->attentions, memory_order_relaxed) > 0;
	if (found) {
		*asc_ascq = lun->attention[0];
		lun_del_attention(lun, 0);
	}
	pthread_mutex_unlock(&lun->lock);
	return found;
}

void scsi_lun_forget_attention(struct scsi_lun *lun, uint16_t asc_ascq)
{
	unsigned int i;

	pthread_mutex_lock(&lun->lock);
	i = lun_find_attention(lun, asc_ascq);
	if (i < atomic_load_explicit(&lun->attentions, memory_order_relaxed))
		lun_del_attention(lun, i);
	pthread_mutex_unlock(&lun->lock);
}

void scsi_lun_forget_attentions(struct scsi_lun *lun)
{
	pthread_mutex_lock(&lun->lock);
	lun_set_attentions(lun, 0);
	pthread_mutex_unlock(&lun->lock);
}

/*
 * Life
 */

static int lun_refuse(char *why, size_t why_size, int err, const char *text)
{
	snprintf(why, why_size, "%s", text);
	return err;
}

static int lun_check(const struct scsi_lun_params *params, char *why, size_t why_size)
{
	unsigned int block = params->block_size;

	if (params->address.report_luns || params->address.lun >= SCSI_LUNS_MAX)
		return lun_refuse(why, why_size, -EINVAL, "there is no such unit number");
	if (!params->storage == !params->passthrough)
		return lun_refuse(why, why_size, -EINVAL,
				  "either a storage or a passed-through device is needed");
	if (block && block != 512 && block != 4096 && !(block == CDROM_BLOCK && params->cdrom))
		return lun_refuse(why, why_size, -EINVAL, "no such block size");
	return 0;
}

static int lun_copy_text(const char **copy, const char *text)
{
	if (!text)
		return 0;
	*copy = strdup(text);
	return *copy ? 0 : -ENOMEM;
}

static int lun_copy_texts(struct scsi_lun *lun, const struct scsi_lun_params *params)
{
	const struct scsi_address *a = &params->address;
	char serial[21];
	int ret;

	snprintf(serial, sizeof(serial), "%u-%u", a->target, a->lun);
	lun->params.serial = lun->params.passthrough = lun->params.reservations = NULL;
	ret = lun_copy_text(&lun->params.serial, params->serial ? params->serial : serial);
	if (!ret)
		ret = lun_copy_text(&lun->params.passthrough, params->passthrough);
	if (!ret)
		ret = lun_copy_text(&lun->params.reservations, params->reservations);
	return ret;
}

static int lun_init(struct scsi_lun *lun, char *why, size_t why_size)
{
	const struct scsi_lun_params *params = &lun->params;

	if (params->passthrough)
		return pass_check(lun, why, why_size);
	lun->block_size = params->block_size ? params->block_size :
			  params->cdrom ? CDROM_BLOCK : STORAGE_SECTOR;
	storage_info(lun->storage, &lun->info);
	atomic_init(&lun->size, ALIGN_DOWN(lun->info.size, lun->block_size));
	return scsi_unit_init(lun, why, why_size);
}

static void lun_release(struct scsi_lun *lun)
{
	free((char *)lun->params.serial);
	free((char *)lun->params.passthrough);
	free((char *)lun->params.reservations);
	pthread_mutex_destroy(&lun->lock);
	free(lun);
}

int scsi_lun_new(struct scsi_lun **result, struct scsi_target *target,
		 const struct scsi_lun_params *params, char *why, size_t why_size)
{
	struct scsi_lun *lun;
	int ret = lun_check(params, why, why_size);

	if (ret)
		return ret;
	lun = calloc(1, sizeof(*lun));
	if (!lun)
		return lun_refuse(why, why_size, -ENOMEM, strerror(ENOMEM));
	pthread_mutex_init(&lun->lock, NULL);
	lun->target = target;
	lun->params = *params;
	lun->storage = params->storage;
	ret = lun_copy_texts(lun, params);
	if (ret)
		lun_refuse(why, why_size, ret, strerror(-ret));
	else
		ret = lun_init(lun, why, why_size);
	if (ret) {
		lun_release(lun);
		return ret;
	}
	scsi_lun_attention(lun, SCSI_UA_POWER_ON);
	*result = lun;
	return 0;
}

void scsi_lun_free(struct scsi_lun *lun)
{
	if (lun->storage)
		scsi_unit_exit(lun);
	lun_release(lun);
}
