/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frontend: the other side of libvhost, a programmable front-end with driver.
 *
 * A vhost-user connection has a back-end, which is what libvhost is for, and a
 * front-end, usually a virtual machine monitor, in whose guest a driver fills
 * the virtqueues.  This library plays both parts of that other side, without a
 * virtual machine: for tests, fuzzers, benchmarks and tools.  It shares no code with
 * libvhost, only the wire structures in spec.h.
 *
 *   struct fe_mem    guest memory: regions, each a memfd mapped here
 *   struct fe_ring   the driver's side of one virtqueue in that memory
 *   struct fe        the front-end's side of a connection
 *
 * Each works without those below it in this list.  fe_blk.h adds virtio-blk, fe_scsi.h
 * virtio-scsi, fe_backend.h the requests of the back-end, fe_migrate.h and fe_iommu.h what their
 * names say, fe_chaos.h a guest which writes where it should not.
 *
 * All int functions return 0 (or a count) or a negative errno.  Nothing here blocks
 * for ever: whatever waits for the back-end has a deadline and then returns
 * -ETIMEDOUT.  Nothing here is locked; one object is used by one thread at a time, except
 * that hostile tests may write raw ring memory whenever they like.
 */
#ifndef FRONTEND_H
#define FRONTEND_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libvhost/spec.h"

/* The mask of a feature bit number. */
#define FE_BIT(n)	(UINT64_C(1) << (n))

/* How long to wait for the back-end where nobody said otherwise. */
#define FE_TIMEOUT_MS	10000

/*
 * Guest memory
 */

/* Of struct fe_region_params */
#define FE_REGION_SEAL_SHRINK	(1u << 0)	/* the memfd cannot be truncated */

/* What a region is to be.  Only size is required. */
struct fe_region_params {
	uint64_t gpa;			/* guest physical address */
	uint64_t size;			/* bytes, a multiple of the page size */
	uint64_t uva;			/* user address to tell the back-end; 0: our mapping's */
	uint64_t offset;		/* of the region in its memfd, in whole pages */
	unsigned int flags;		/* FE_REGION_* */
};

/* One region of guest memory. */
struct fe_region {
	uint64_t gpa;			/* guest physical address */
	uint64_t size;			/* bytes */
	uint64_t uva;			/* what the back-end is told, also for rings */
	uint64_t offset;		/* of the region within fd */
	int fd;				/* memfd, owned */
	uint8_t *ptr;			/* our mapping, owned */
	uint64_t used;			/* bytes handed out by fe_mem_alloc() */
};

/* Guest memory as a whole.  Regions stay in the order in which they were added. */
struct fe_mem {
	struct fe_region *regions;
	unsigned int num;		/* of regions */
};

/* Guest memory of one region of size bytes at guest address gpa. */
int fe_mem_init(struct fe_mem *mem, uint64_t gpa, uint64_t size);

/*
 * Add a region and return its number.  To begin with none: struct fe_mem mem = { 0 }.
 * Regions may touch each other, since a guest's buffers may cross their border: then they
 * are adjacent as guest addresses but never in our address space.
 */
int fe_mem_add(struct fe_mem *mem, const struct fe_region_params *params);

/* Remove region i; the numbers of those behind it go down by one. */
void fe_mem_del(struct fe_mem *mem, unsigned int i);

/* Remove all. */
void fe_mem_free(struct fe_mem *mem);

/*
 * len bytes of guest memory, zeroed, aligned to align (a power of two) as guest
 * address; from the first region which has the room, or from region i only.  There is no
 * free: they go with the region.  NULL: no room.
 */
void *fe_mem_alloc(struct fe_mem *mem, size_t len, size_t align);
void *fe_mem_alloc_in(struct fe_mem *mem, unsigned int i, size_t len, size_t align);

/* The guest or user address of the len bytes at ptr; UINT64_MAX: not within one region. */
uint64_t fe_mem_gpa(const struct fe_mem *mem, const void *ptr, size_t len);
uint64_t fe_mem_uva(const struct fe_mem *mem, const void *ptr, size_t len);

/* Where the len bytes at a guest address are here; NULL: not within one region. */
void *fe_mem_ptr(const struct fe_mem *mem, uint64_t gpa, size_t len);

/*
 * Rings
 */

struct fe_ring;
struct fe_ring_ops;			/* one instance per ring format, ring.h */
struct fe_slot;				/* ring.h */
struct fe_iommu;			/* fe_iommu.h */

/* Of struct fe_ring_params */
#define FE_RING_POLL	(1u << 0)	/* no interrupts: they are off, and fe_ring_wait() spins */
#define FE_RING_ADDR	(1u << 1)	/* fe_ring_add() is given guest addresses, not pointers */

/* What a ring is to be.  Only size is required. */
struct fe_ring_params {
	unsigned int index;		/* number of the virtqueue */
	unsigned int size;		/* entries; split: a power of two */
	uint64_t features;		/* as negotiated; RING_PACKED, IN_ORDER, EVENT_IDX and
					 * INDIRECT_DESC matter here */
	unsigned int indirect;		/* longest indirect table; 0: use none */
	uint32_t base;			/* where the ring begins, as in SET_VRING_BASE; 0: at its
					 * beginning, which is FE_PACKED_BASE in a packed ring */
	unsigned int flags;		/* FE_RING_* */
	const struct fe_iommu *iommu;	/* if any: all addresses are its; fe_iommu.h */
};

/* Counters of a ring, since fe_ring_init(). */
struct fe_ring_stats {
	uint64_t added;			/* chains */
	uint64_t got;			/* chains */
	uint64_t kicks;			/* notifications sent */
	uint64_t kicks_saved;		/* notifications which the device did not want */
	uint64_t signals;		/* reads of the call fd which found it signalled */
	uint64_t interrupts;		/* how often it was signalled until then */
};

/* The parts of a split ring, for all who want to write what a driver should not. */
struct fe_split {
	struct vring_desc *desc;	/* guest memory */
	struct vring_avail *avail;	/* guest memory */
	struct vring_used *used;	/* guest memory */
	uint16_t avail_idx;		/* next free place in avail, not yet published */
	uint16_t avail_seen;		/* avail_idx as of the last decision whether to kick */
	uint16_t published;		/* what the device sees as avail->idx */
	uint16_t used_idx;		/* next entry of used to look at */
};

/* SET_VRING_BASE of a packed ring which has not been used: both wrap counters are 1. */
#define FE_PACKED_BASE	0x80008000u

/* A place in a packed ring. */
struct fe_packed_pos {
	uint16_t slot;
	bool wrap;			/* the wrap counter */
};

/* The same for a packed ring. */
struct fe_packed {
	struct vring_packed_desc *desc;	/* guest memory */
	struct vring_packed_desc_event *driver;	/* guest memory, what the driver wants */
	struct vring_packed_desc_event *device;	/* guest memory, what the device wants */
	struct fe_packed_pos avail;	/* the next place for a chain */
	struct fe_packed_pos used;	/* where the device writes next */
	struct fe_packed_pos held;	/* the first which is not published, if any */
	uint16_t held_flags;		/* its flags: the device waits for them */
	unsigned int pending;		/* descriptors added and not yet published */
	unsigned int unseen;		/* published since the last decision whether to kick */
};

/* The driver's side of a virtqueue. */
struct fe_ring {
	const struct fe_ring_ops *ops;	/* the format */
	struct fe_mem *mem;		/* the memory it lives in, the caller's */
	unsigned int index;		/* as in fe_ring_params */
	unsigned int size;
	uint64_t features;
	unsigned int indirect;		/* as in fe_ring_params; may be lowered at any time */
	unsigned int flags;		/* as in fe_ring_params; may be changed at any time */
	const struct fe_iommu *iommu;	/* the caller's; NULL: none */

	/* The three areas of VIRTIO 2.6, in guest memory, whatever the format. */
	void *desc_area;
	void *driver_area;
	void *device_area;
	struct fe_split split;		/* one of the two is in use */
	struct fe_packed packed;

	int kick_fd;			/* eventfds, owned; -1 is told as "no fd" */
	int call_fd;
	int err_fd;

	struct fe_slot *slots;		/* [size], private; the chains by their id */
	uint16_t *free;			/* [size], circle of free ids; split: descriptors */
	unsigned int free_at;		/* place in it of the one to be taken next */
	unsigned int num_free;		/* descriptors, whatever the format */
	unsigned int outstanding;	/* chains added and not got back */
	uint16_t oldest;		/* of these, by id; valid with IN_ORDER only */
	uint16_t newest;
	bool batch;			/* chains up to batch_id have been used, by IN_ORDER */
	uint16_t batch_id;		/* what the device has written last */
	uint32_t batch_len;
	struct vring_desc *tables;	/* guest memory, [size][table_len], indirect tables by id */
	unsigned int table_len;
	struct fe_ring_stats stats;
};

/*
 * Lay out a ring in mem and make its eventfds.  -EINVAL: a size which the format does
 * not have; -ENOMEM: mem has no room.
 */
int fe_ring_init(struct fe_ring *ring, struct fe_mem *mem, const struct fe_ring_params *params);
void fe_ring_free(struct fe_ring *ring);

/*
 * The ring is in another memory from now on, at the same guest addresses, as after migration.
 * What is there is left alone: the caller copies memory, before or after.  -EFAULT: not there.
 */
int fe_ring_move(struct fe_ring *ring, struct fe_mem *to);

/*
 * Forget all requests and begin again at base with ring memory as it is when nothing is in it, as
 * a driver does after a reset of the device.  base is as in struct fe_ring_params.
 */
void fe_ring_reset(struct fe_ring *ring, uint32_t base);

/*
 * Add one chain: first what the device reads, then what it writes, as iovecs in guest memory, each
 * within one region.  A chain of 2 to ring->indirect elements becomes an indirect table, others
 * direct descriptors.  cookie, not NULL, comes back from fe_ring_get().  The device does not see
 * the chain before fe_ring_publish().  Returns the chain's id, in a split ring the head's number;
 * packed descriptors carry it as buffer id.
 *
 * With an IOMMU the device is told the addresses under which that knows the elements.  With
 * FE_RING_ADDR the iovecs hold what the device is to be told, and nobody looks at it: guest
 * addresses, IOVAs, or none of these.
 * -ENOSPC: no descriptors left; -EFAULT: not guest memory.
 */
int fe_ring_add(struct fe_ring *ring, const struct iovec *out, unsigned int nout,
		const struct iovec *in, unsigned int nin, void *cookie);

/* Let the device see what was added. */
void fe_ring_publish(struct fe_ring *ring);

/* Whether the device wants to be told about what was published since the last asking. */
bool fe_ring_kick_needed(struct fe_ring *ring);

/* Kick if the device wants it, and say whether it did; or kick anyway. */
bool fe_ring_kick(struct fe_ring *ring);
void fe_ring_kick_always(struct fe_ring *ring);

/* Publish, then kick if needed. */
void fe_ring_submit(struct fe_ring *ring);

/*
 * The next chain which the device has used: its cookie and how many bytes the device says it has
 * written.  Returns 1, or 0 when there is none; -EPROTO: the device gave back what it does not
 * have, or says that it wrote more than there was room for.  With VIRTIO_F_IN_ORDER the device may
 * report a batch of chains by its last one only; then all others come back too, in order, as
 * written in full.
 */
int fe_ring_get(struct fe_ring *ring, void **cookie, uint32_t *len);

/*
 * The same as fe_ring_get() and fe_ring_add() with the same buffers, but as cheap as a driver can
 * be whose buffers stay where they are: for load generators.  -EOPNOTSUPP: in order, or the chain
 * has several descriptors in the ring.
 */
int fe_ring_recycle(struct fe_ring *ring, void **cookie, uint32_t *len);

/* Whether fe_ring_get() has something. */
bool fe_ring_ready(const struct fe_ring *ring);

/*
 * Wait until fe_ring_get() has something: on the call fd with interrupts armed, or with
 * FE_RING_POLL by looking again and again.  -ETIMEDOUT; -EIO: the err fd was signalled.
 */
int fe_ring_wait(struct fe_ring *ring, int timeout_ms);

#define FE_RINGS_MAX	64		/* in one fe_rings_wait() */

/* The same for one of several rings, which all poll as the first one does. */
int fe_rings_wait(struct fe_ring *const *rings, unsigned int num, int timeout_ms);

/*
 * Ask the device for an interrupt when it uses the next chain, or for none.  fe_ring_irq_on()
 * returns true when a chain has been used already, for which no interrupt may come.
 */
bool fe_ring_irq_on(struct fe_ring *ring);
void fe_ring_irq_off(struct fe_ring *ring);

/* Whether the call fd has been signalled since the last asking (or fe_ring_wait()). */
bool fe_ring_signalled(struct fe_ring *ring);

/* Wait for a signal on the call fd, whatever is in the ring; or on the err fd. */
int fe_ring_wait_signal(struct fe_ring *ring, int timeout_ms);
int fe_ring_wait_err(struct fe_ring *ring, int timeout_ms);

/*
 * Where the device should begin if it were to start now, as in SET_VRING_BASE: behind the chains
 * which it has used.  A packed ring says the same for both of its places.
 */
uint32_t fe_ring_get_base(const struct fe_ring *ring);

/* The ring's addresses as SET_VRING_ADDR wants them: user addresses, or those of the IOMMU. */
void fe_ring_get_addr(const struct fe_ring *ring, struct vu_vring_addr *addr);

/*
 * Rings, hostile mode.  Values go into guest memory as they are.
 */

/* A descriptor and where to put it. */
struct fe_raw_desc {
	uint16_t slot;			/* in the descriptor table */
	uint16_t flags;			/* VRING_DESC_F_* */
	uint16_t next;
	uint32_t len;
	uint64_t addr;			/* a guest address, or none */
};

/*
 * Write these n descriptors to their slots and make descs[0].slot available.  Slots which are free
 * become taken until the chain comes back.  Returns the id.  -EBUSY: descs[0].slot is not free.
 */
int fe_split_add_raw(struct fe_ring *ring, const struct fe_raw_desc *descs, unsigned int n,
		     void *cookie);

void fe_split_set_desc(struct fe_ring *ring, const struct fe_raw_desc *desc);

/* Put any number into avail->ring at the driver's next place, without cookie. */
void fe_split_add_head(struct fe_ring *ring, uint16_t head);

/* avail->idx as the device sees it; the ring's own idea of it is left alone. */
void fe_split_set_avail_idx(struct fe_ring *ring, uint16_t idx);
void fe_split_set_avail_flags(struct fe_ring *ring, uint16_t flags);
void fe_split_set_used_event(struct fe_ring *ring, uint16_t idx);

/* What the device has written. */
uint16_t fe_split_used_idx(const struct fe_ring *ring);
uint16_t fe_split_used_flags(const struct fe_ring *ring);
uint16_t fe_split_avail_event(const struct fe_ring *ring);

/* The same for packed rings; next is where this goes. */
struct fe_raw_packed {
	uint64_t addr;			/* a guest address, or none */
	uint32_t len;
	uint16_t id;
	uint16_t flags;			/* VRING_DESC_F_*, and in fe_packed_set_desc() all others */
};

/*
 * Write these n descriptors, at most ring->size, at the driver's next places, available as soon
 * as they are published.  Only the id of the last one, by which the chain should come back, is
 * taken, together with n - 1 others which are free; with cookie NULL none is, and the driver
 * expects nothing back.  Returns the id.  -EBUSY: it is not free, or not so many are.
 */
int fe_packed_add_raw(struct fe_ring *ring, const struct fe_raw_packed *descs, unsigned int n,
		      void *cookie);

/* Any place of the ring with any flags, AVAIL and USED among them; and what is there now. */
void fe_packed_set_desc(struct fe_ring *ring, uint16_t slot, const struct fe_raw_packed *desc);
struct fe_raw_packed fe_packed_get_desc(const struct fe_ring *ring, uint16_t slot);

/* AVAIL and USED as they make a descriptor available which is at the driver's next place. */
uint16_t fe_packed_avail_flags(const struct fe_ring *ring);

/* The event areas: flags are VRING_PACKED_EVENT_FLAG_*, off_wrap a place with its wrap counter. */
void fe_packed_set_driver_event(struct fe_ring *ring, uint16_t off_wrap, uint16_t flags);
void fe_packed_set_device_event(struct fe_ring *ring, uint16_t off_wrap, uint16_t flags);
void fe_packed_device_event(const struct fe_ring *ring, uint16_t *off_wrap, uint16_t *flags);

/*
 * Connections
 */

#define FE_FDS_MAX	32		/* in one message, more than the protocol allows */

/* A message as it is received.  Its fds belong to the receiver. */
struct fe_msg {
	struct vu_header hdr;
	union {
		uint8_t bytes[VU_PAYLOAD_MAX];
		uint64_t u64;
		struct vu_vring_state state;
		struct vu_config config;
		struct vu_memory memory;
		struct vu_mem_reg mem_reg;
		struct vu_inflight inflight;
		struct vu_iotlb iotlb;
		struct vu_vring_area area;
		struct vu_shared shared;
		struct vu_mmap mmap;
	} u;
	int fds[FE_FDS_MAX];
	unsigned int nfds;
};

/* A connection, seen from the front-end. */
struct fe {
	int fd;				/* connected socket, owned; -1: none */
	int backend_fd;			/* our end of the back-end channel, owned; -1: none */
	int timeout_ms;			/* for each send and each receive */
	bool no_ack;			/* never set NEED_REPLY */
	bool any_log_reply;		/* take any reply to SET_LOG_BASE, as QEMU does */
	bool gpa;			/* for fe_negotiate(): choose GPA_ADDRESSES, too */
	uint64_t offered;		/* the last answer to GET_FEATURES */
	uint64_t features;		/* chosen by fe_negotiate(), or set by fe_set_features() */
	uint64_t protocol_offered;	/* the last answer to GET_PROTOCOL_FEATURES */
	uint64_t protocol_features;	/* set by fe_set_protocol_features() */
	uint64_t queue_num;		/* the last answer to GET_QUEUE_NUM */
	unsigned int mem_regs;		/* regions which the back-end has by ADD_MEM_REG */
};

/* Take the connected socket fd, which belongs to fe from now on. */
void fe_attach(struct fe *fe, int fd);

/* Make a socketpair; fe takes one end, *other is the back-end's. */
int fe_pair(struct fe *fe, int *other);

/* Connect to a listening socket, for which it waits up to FE_TIMEOUT_MS. */
int fe_connect(struct fe *fe, const char *path);
/* The same with another limit; with 0 it tries once, and the errno says why not. */
int fe_connect_within(struct fe *fe, const char *path, int timeout_ms);

/* Close the connection and the back-end channel. */
void fe_close(struct fe *fe);

/*
 * Raw: these send and receive what they are told and check nothing of it.
 */

/* Send bytes, and fds with the first of them; for messages cut into pieces. */
int fe_send_bytes(struct fe *fe, const void *buf, size_t len, const int *fds, unsigned int nfds);

/* Send a header and len bytes of payload, whatever the header says about them. */
int fe_send_raw(struct fe *fe, const struct vu_header *hdr, const void *payload, size_t len,
		const int *fds, unsigned int nfds);

/*
 * Receive one message.  -ECONNRESET: the back-end has closed the connection; -EPROTO: not a whole
 * message, too long a one, or too many fds.
 */
int fe_recv_raw(struct fe *fe, struct fe_msg *msg);

/* Close the fds in a message. */
void fe_msg_close(struct fe_msg *msg);

/*
 * Wait until the back-end closes the connection.  -EPROTO: it sends something instead.
 */
int fe_wait_closed(struct fe *fe);

/*
 * Requests.  All return 0; or
 *   -EIO         the back-end refused: a non-zero ack, or what stands for that in a reply
 *   -EPROTO      the reply is not what the protocol says
 *   -ETIMEDOUT   there is no reply
 *   -ECONNRESET  the back-end has closed the connection
 *
 * Without a reply of its own a message asks for an ack if REPLY_ACK is negotiated and no_ack is not
 * set.  Otherwise 0 says only that it was sent; fe_sync() then tells when it has been handled.
 */

/* Any request without a reply of its own. */
int fe_request(struct fe *fe, uint32_t request, const void *payload, uint32_t size,
	       const int *fds, unsigned int nfds);

/* Any request with a reply of its own.  The caller checks size and fds of the reply. */
int fe_query(struct fe *fe, uint32_t request, const void *payload, uint32_t size,
	     const int *fds, unsigned int nfds, struct fe_msg *reply);

/* Wait until all messages have been handled, as QEMU does: by GET_FEATURES. */
int fe_sync(struct fe *fe);

int fe_get_features(struct fe *fe, uint64_t *features);
int fe_set_features(struct fe *fe, uint64_t features);
int fe_get_protocol_features(struct fe *fe, uint64_t *features);
int fe_set_protocol_features(struct fe *fe, uint64_t features);
int fe_set_owner(struct fe *fe);
int fe_reset_owner(struct fe *fe);
int fe_get_queue_num(struct fe *fe, uint64_t *num);
int fe_reset_device(struct fe *fe);
int fe_set_status(struct fe *fe, uint8_t status);
int fe_get_status(struct fe *fe, uint8_t *status);

/* At most VU_FDS_MAX regions fit into a table. */
int fe_set_mem_table(struct fe *fe, const struct fe_mem *mem);
int fe_get_max_mem_slots(struct fe *fe, uint64_t *slots);
int fe_add_mem_reg(struct fe *fe, const struct fe_region *region);
int fe_rem_mem_reg(struct fe *fe, const struct fe_region *region);

int fe_set_vring_num(struct fe *fe, unsigned int index, uint32_t num);
int fe_set_vring_addr(struct fe *fe, const struct vu_vring_addr *addr);
int fe_set_vring_base(struct fe *fe, unsigned int index, uint32_t base);
int fe_get_vring_base(struct fe *fe, unsigned int index, uint32_t *base);
int fe_set_vring_enable(struct fe *fe, unsigned int index, bool enable);

/* The same without waiting for requests, which stay in the in-flight region. */
int fe_get_vring_base_skip_drain(struct fe *fe, unsigned int index, uint32_t *base);

/* The byte order of a legacy driver's ring. */
int fe_set_vring_endian(struct fe *fe, unsigned int index, bool big);

/* A kick as a message; with an ack the ring has been looked at when this returns. */
int fe_vring_kick(struct fe *fe, unsigned int index);

/* fd < 0 is sent as "no fd". */
int fe_set_vring_kick(struct fe *fe, unsigned int index, int fd);
int fe_set_vring_call(struct fe *fe, unsigned int index, int fd);
int fe_set_vring_err(struct fe *fe, unsigned int index, int fd);

/* len is at most VU_CONFIG_MAX; flags are VU_CONFIG_WRITABLE or VU_CONFIG_MIGRATION. */
int fe_get_config(struct fe *fe, uint32_t off, void *buf, uint32_t len);
int fe_set_config(struct fe *fe, uint32_t off, const void *buf, uint32_t len, uint32_t flags);

/* virtio-net's */
int fe_send_rarp(struct fe *fe, const uint8_t mac[6]);
int fe_net_set_mtu(struct fe *fe, uint64_t mtu);

/*
 * virtio-crypto's.  params are the whole payload, VU_CRYPTO_SIZE_MIN to _MAX bytes, whose last 8
 * are the id's place.
 */
int fe_create_crypto_session(struct fe *fe, const void *params, uint32_t size, int64_t *id);
int fe_close_crypto_session(struct fe *fe, int64_t id);

/* virtio-gpu's socket for its own protocol */
int fe_gpu_set_socket(struct fe *fe, int fd);

/* The fd of an object, which belongs to the caller.  -EIO: the back-end does not have it. */
int fe_get_shared_object(struct fe *fe, const uint8_t uuid[VU_UUID_SIZE], int *fd);

/* Shared memory regions; -EPROTO also if their number is not that of the sizes. */
int fe_get_shmem_config(struct fe *fe, struct vu_shmem_config *config);

/* Make the back-end channel and give the back-end its end; an older one is closed. */
int fe_set_backend_req_fd(struct fe *fe);

/* The next message on the back-end channel, checked for version and flags; as fe_recv_raw(). */
int fe_backend_recv(struct fe *fe, struct fe_msg *msg);
/* Answer it, if it asks for an answer or always has one. */
int fe_backend_reply(struct fe *fe, const struct fe_msg *msg, uint64_t value);

/*
 * Whole sequences, in QEMU's order.
 */

/*
 * The beginning of a connection, as vhost_dev_init() in QEMU: find out what is offered and choose
 * of it what is wanted.  Afterwards fe->features is what fe_start() will set; make the rings with
 * it.  Protocol features are negotiated if the feature bit VU_F_PROTOCOL_FEATURES is wanted; those
 * chosen bring their messages: GET_QUEUE_NUM, GET_MAX_MEM_SLOTS, SET_BACKEND_REQ_FD.
 */
int fe_negotiate(struct fe *fe, uint64_t features, uint64_t protocol_features);

/* Features, memory, and all rings: set up, started and enabled. */
int fe_start(struct fe *fe, const struct fe_mem *mem, struct fe_ring *const *rings,
	     unsigned int num);

/* Disable and stop the rings; all that was outstanding has been used when this returns. */
int fe_stop(struct fe *fe, struct fe_ring *const *rings, unsigned int num);

/*
 * The memory, with SET_MEM_TABLE or ADD_MEM_REG, whichever is negotiated; the latter for the
 * regions behind the first fe->mem_regs, which the back-end has already.
 */
int fe_start_mem(struct fe *fe, const struct fe_mem *mem);

/* One ring: NUM, BASE, ADDR, CALL, ERR, KICK; not ENABLE. */
int fe_start_ring(struct fe *fe, struct fe_ring *ring);

/* GET_VRING_BASE; base may be NULL. */
int fe_stop_ring(struct fe *fe, struct fe_ring *ring, uint32_t *base);

#endif /* FRONTEND_H */
