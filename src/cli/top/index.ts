// The full-screen view of the cluster, loaded when it is asked for.
export { showTop } from './show.tsx';
