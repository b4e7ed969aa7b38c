// Held keys: what one holder at a time may do or own.
export { Lease, type LeaseOptions, marginOf, readLease, Tenure } from './lease.ts';
