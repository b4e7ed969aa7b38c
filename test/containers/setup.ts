// Runs before each test file of this suite: its servers are containers, not child processes.
import { launchServersBy } from '../support/nats.ts';
import { launchContainer } from './server.ts';

launchServersBy(launchContainer);
