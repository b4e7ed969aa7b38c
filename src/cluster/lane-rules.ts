// Rules about lanes: tasks that no node can serve, and limits that are near.
import { LANES_MAX, MAX_ACK_PENDING, MAX_WAITING, TASKS } from '../protocol/index.ts';
import { type Rule, warning } from './finding.ts';

/** A limit is reported at this share of it, while there is time to act. */
const LIMIT_SHARE = 0.8;

const unservedLanes: Rule = ({ lanes }) =>
  lanes
    .filter(({ waiting, isServed }) => waiting > 0 && !isServed)
    .map(({ consumer, waiting, lane }) =>
      warning(
        'lane',
        consumer,
        `${consumer}: ${waiting === 1 ? '1 task waits' : `${waiting} tasks wait`}, and no live node can serve it`,
        `start one: \`orch worker${lane === 'any' ? '' : ` --caps ${lane.replaceAll('+', ',')}`}\``,
      ),
    );

const lanesNearAckLimit: Rule = ({ lanes }) =>
  lanes
    .filter(({ inFlight }) => inFlight > MAX_ACK_PENDING * LIMIT_SHARE)
    .map(({ consumer, inFlight }) =>
      warning(
        'lane',
        consumer,
        `${consumer}: ${inFlight} tasks are in flight; at ${MAX_ACK_PENDING} it delivers no more`,
        'cancel delayed or retrying tasks that are no longer needed',
      ),
    );

const lanesNearPullLimit: Rule = ({ lanes }) =>
  lanes
    .filter(({ idleWorkers }) => idleWorkers > MAX_WAITING * LIMIT_SHARE)
    .map(({ consumer, idleWorkers }) =>
      warning(
        'lane',
        consumer,
        `${consumer}: ${idleWorkers} idle workers wait; at most ${MAX_WAITING} can`,
        'stop some of them',
      ),
    );

const manyLanes: Rule = ({ lanes }) =>
  lanes.length > LANES_MAX * LIMIT_SHARE
    ? [
        warning(
          'lane',
          TASKS,
          `${lanes.length} lanes exist; at most ${LANES_MAX} are allowed`,
          'use fewer combinations of capabilities',
        ),
      ]
    : [];

const messagesOutsideLanes: Rule = ({ outsideLanes = 0 }) =>
  outsideLanes > 0
    ? [
        warning(
          'lane',
          TASKS,
          `${outsideLanes} messages of ${TASKS} are in no lane yet`,
          'the node that does the chores creates their lanes within seconds',
        ),
      ]
    : [];

/** In the order in which they are listed. */
export const LANE_RULES: readonly Rule[] = [
  unservedLanes,
  lanesNearAckLimit,
  lanesNearPullLimit,
  manyLanes,
  messagesOutsideLanes,
];
