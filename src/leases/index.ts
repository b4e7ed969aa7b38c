// Held keys: what one holder at a time may do or own.
export { HeldKey } from './held-key.ts';
export { Lease, type LeaseOptions, readLease } from './lease.ts';
export { Tenure } from './tenure.ts';
