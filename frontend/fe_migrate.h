/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end's part in migration: the messages, and what a front-end keeps for them.
 *
 * Errors are as those of all requests in frontend.h; an answer of the back-end which
 * means "no" is -EIO.
 */
#ifndef FRONTEND_FE_MIGRATE_H
#define FRONTEND_FE_MIGRATE_H

#include "frontend/frontend.h"

/*
 * Messages
 */

/*
 * size bytes of bitmap at offset of fd, one bit for each VU_LOG_PAGE.  Without LOG_SHMFD the fd is
 * not sent, and the message is one without a reply of its own.
 */
int fe_set_log_base(struct fe *fe, uint64_t size, uint64_t offset, int fd);

/* An eventfd which is written when something was logged. */
int fe_set_log_fd(struct fe *fe, int fd);

/*
 * Ask for an in-flight region for inflight->num_queues queues of inflight->queue_size entries, and
 * learn its size and offset.  The fd belongs to the caller.
 */
int fe_get_inflight_fd(struct fe *fe, struct vu_inflight *inflight, int *fd);
int fe_set_inflight_fd(struct fe *fe, const struct vu_inflight *inflight, int fd);

/* The back-end's userfaultfd, which belongs to the caller. */
int fe_postcopy_advise(struct fe *fe, int *fd);

/* These two ask for an ack whatever was negotiated, as QEMU does. */
int fe_postcopy_listen(struct fe *fe);
int fe_postcopy_end(struct fe *fe);

/*
 * The memory while the back-end listens.  It says where it has mapped each region: bases[mem->num].
 * It touches nothing there before the go-ahead, which comes once someone resolves its faults; the
 * request is that which told the memory, VU_SET_MEM_TABLE or VU_ADD_MEM_REG, and there is no ack.
 */
int fe_postcopy_set_mem_table(struct fe *fe, const struct fe_mem *mem, uint64_t *bases);
int fe_postcopy_go_ahead(struct fe *fe, uint32_t request);

/* The same for one region, as QEMU did until 11.0; the go-ahead comes after the last. */
int fe_postcopy_add_mem_reg(struct fe *fe, const struct fe_region *region, uint64_t *base);

/*
 * Tell the back-end to write its state to fd, or to read it from there: direction is
 * VU_TRANSFER_SAVE or _LOAD, phase VU_TRANSFER_STOPPED.  fd stays the caller's.  *other is an fd of
 * the back-end's choice which must be used instead, and belongs to the caller; -1: none.
 */
int fe_set_device_state_fd(struct fe *fe, uint32_t direction, uint32_t phase, int fd, int *other);

/* Whether the transfer, which has come to its end, has succeeded. */
int fe_check_device_state(struct fe *fe);

#endif /* FRONTEND_FE_MIGRATE_H */
