// Every run of the property tests has the same cases, so that a mutant that survives once survives always.
import { configureGlobal } from "fast-check";

configureGlobal({ seed: 1, endOnFailure: true });
