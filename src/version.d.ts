/** The version of orch, put in by the build. */
declare const __ORCH_VERSION__: string;
