/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the front-end library: the device's side of a packed ring.
 *
 * It is written from VIRTIO 2.8 and works on the raw ring; it shares nothing with the driver.
 */
#ifndef TESTS_UNIT_PACKED_DEVICE_H
#define TESTS_UNIT_PACKED_DEVICE_H

#include <stdint.h>

#include "frontend.h"

#define GPA		UINT64_C(0x100000)
#define MEM_SIZE	(4u << 20)
#define PACKED		FE_BIT(VIRTIO_F_RING_PACKED)
#define IN_ORDER	FE_BIT(VIRTIO_F_IN_ORDER)
#define EVENT_IDX	FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT	FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)

#define ELEMENTS_MAX	16
#define SHORT_MS	10

/* A place of the device's, which counts laps in its own way. */
struct place {
	unsigned int slot;
	unsigned int wrap;
};

/* A chain as the device has found it. */
struct dev_chain {
	uint16_t id;
	unsigned int slots;		/* places it takes in the ring */
	unsigned int num;		/* elements */
	struct vring_packed_desc elements[ELEMENTS_MAX];
};

extern struct fe_mem mem;
extern struct fe_ring ring;

extern struct place dev_avail, dev_used;

/* Memory with a ring, and the device at its base. */
void open_ring(const struct fe_ring_params *params);
void close_ring(void);
void dev_reset(uint32_t base);

/* Go n places on. */
void step(struct place *place, unsigned int n);

volatile struct vring_packed_desc *dev_desc(unsigned int slot);

bool dev_may_pop(void);
bool dev_pop(struct dev_chain *c);

/* Give back slots places by one descriptor. */
void dev_push(uint16_t id, uint32_t len, unsigned int slots);
void dev_push_chain(const struct dev_chain *c, uint32_t len);

/* What the device asks for: 0 all kicks, 1 none, 2 that for the place. */
void dev_want(unsigned int flags, unsigned int slot, unsigned int wrap);

/* Where the device is: there the driver would let the next one begin. */
void check_base(void);

void *cookie_of(unsigned int i);

/* Add a chain of n elements, of which the device may write the last, of 64 bytes. */
int add(unsigned int n, unsigned int cookie);

/* That chain comes back; none does. */
void get(unsigned int cookie, uint32_t expected);
void get_none(void);

/* The device has found what add(n) has added. */
void check_elements(const struct dev_chain *c, unsigned int n);

#endif /* TESTS_UNIT_PACKED_DEVICE_H */
