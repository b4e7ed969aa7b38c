// The page that shows what was measured.
export { OWN_FOLDER, readSummaries, writePage } from './page.ts';
