(* What a gradient is: g is the gradient of F at x when, along every curve through x that is differentiable there, F changes
   at the rate <g, velocity>. Partial derivatives are the curves that move one component (grad_partial). In a finite
   dimension this is differentiability in the sense of Hadamard and of Frechet. *)
Require Import Reals Lra Lia Arith.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums.
Open Scope R_scope.

Definition grad (n : nat) (F : vec -> R) (x g : vec) : Prop :=
  forall (z : R -> vec) (v : vec) (t : R),
    (forall i, (i < n)%nat -> z t i = x i) -> (forall i, (i < n)%nat -> is_derive (fun u => z u i) t (v i)) ->
    is_derive (fun u => F (z u)) t (dot n g v).

Definition grad2 (m n : nat) (F : mat -> R) (x g : mat) : Prop :=
  forall (z : R -> mat) (v : mat) (t : R),
    (forall i j, (i < m)%nat -> (j < n)%nat -> z t i j = x i j) ->
    (forall i j, (i < m)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
    is_derive (fun u => F (z u)) t (dot2 m n g v).

(* Rules of differentiation, in the plain operators of R. *)
Lemma d_eq (f : R -> R) (t a b : R) : is_derive f t a -> a = b -> is_derive f t b.
Proof. now intros H <-. Qed.

Lemma d_ext (f h : R -> R) (t a : R) : (forall u, f u = h u) -> is_derive f t a -> is_derive h t a.
Proof. intros E H. apply (is_derive_ext f); auto. Qed.

Lemma d_const (c t : R) : is_derive (fun _ : R => c) t 0.
Proof. apply (is_derive_const (K := R_AbsRing) (V := R_NormedModule)). Qed.

Lemma d_id (t : R) : is_derive (fun u : R => u) t 1.
Proof. apply (is_derive_id (K := R_AbsRing)). Qed.

Lemma d_plus (f h : R -> R) (t a b : R) : is_derive f t a -> is_derive h t b -> is_derive (fun u => f u + h u) t (a + b).
Proof. intros. now apply (is_derive_plus f h). Qed.

Lemma d_minus (f h : R -> R) (t a b : R) : is_derive f t a -> is_derive h t b -> is_derive (fun u => f u - h u) t (a - b).
Proof. intros. now apply (is_derive_minus f h). Qed.

Lemma d_opp (f : R -> R) (t a : R) : is_derive f t a -> is_derive (fun u => - f u) t (- a).
Proof. intros. now apply (is_derive_opp f). Qed.

Lemma d_mult (f h : R -> R) (t a b : R) :
  is_derive f t a -> is_derive h t b -> is_derive (fun u => f u * h u) t (a * h t + f t * b).
Proof. intros. apply (is_derive_mult f h); auto. intros. apply Rmult_comm. Qed.

Lemma d_scal (f : R -> R) (t c a : R) : is_derive f t a -> is_derive (fun u => c * f u) t (c * a).
Proof. intros. now apply (is_derive_scal f t c a). Qed.

Lemma d_comp (f h : R -> R) (t a b : R) : is_derive f (h t) a -> is_derive h t b -> is_derive (fun u => f (h u)) t (b * a).
Proof. intros. now apply (is_derive_comp f h). Qed.

Lemma d_inv (f : R -> R) (t a : R) : is_derive f t a -> f t <> 0 -> is_derive (fun u => / f u) t (- a / (f t * f t)).
Proof. intros H K. eapply d_eq; [exact (is_derive_inv f t a H K)|]. field. auto. Qed.

Lemma d_div (f h : R -> R) (t a b : R) : is_derive f t a -> is_derive h t b -> h t <> 0 ->
  is_derive (fun u => f u / h u) t ((a - f t / h t * b) / h t).
Proof.
  intros Hf Hh Hn. eapply d_eq; [apply d_mult; [exact Hf|apply d_inv; [exact Hh|exact Hn]]|]. cbv beta. field. auto.
Qed.

Lemma d_exp (f : R -> R) (t a : R) : is_derive f t a -> is_derive (fun u => exp (f u)) t (a * exp (f t)).
Proof. intros. apply (d_comp exp f); auto. apply is_derive_exp. Qed.

Lemma d_ln (f : R -> R) (t a : R) : is_derive f t a -> 0 < f t -> is_derive (fun u => ln (f u)) t (a / f t).
Proof. intros. apply (d_comp ln f); auto. now apply is_derive_ln. Qed.

Lemma d_sqrt (f : R -> R) (t a : R) : is_derive f t a -> 0 < f t -> is_derive (fun u => sqrt (f u)) t (a / (2 * sqrt (f t))).
Proof. intros. now apply is_derive_sqrt. Qed.

Lemma d_sum n (f : R -> vec) (v : vec) t : (forall i, (i < n)%nat -> is_derive (fun u => f u i) t (v i)) ->
  is_derive (fun u => Sum n (f u)) t (Sum n v).
Proof.
  intros H. induction n as [|n IH]; simpl; [apply d_const|]. apply d_plus; auto.
Qed.

Lemma d_dot n (f h : R -> vec) (v w : vec) t :
  (forall i, (i < n)%nat -> is_derive (fun u => f u i) t (v i)) ->
  (forall i, (i < n)%nat -> is_derive (fun u => h u i) t (w i)) ->
  is_derive (fun u => dot n (f u) (h u)) t (dot n v (h t) + dot n (f t) w).
Proof.
  intros Hf Hh. unfold dot. rewrite <- Sum_plus.
  apply (d_sum n (fun u i => f u i * h u i)). intros i Hi. apply (d_mult (fun u => f u i) (fun u => h u i)); auto.
Qed.

Lemma d_dot2 m n (f h : R -> mat) (v w : mat) t :
  (forall i j, (i < m)%nat -> (j < n)%nat -> is_derive (fun u => f u i j) t (v i j)) ->
  (forall i j, (i < m)%nat -> (j < n)%nat -> is_derive (fun u => h u i j) t (w i j)) ->
  is_derive (fun u => dot2 m n (f u) (h u)) t (dot2 m n v (h t) + dot2 m n (f t) w).
Proof.
  intros Hf Hh. unfold dot2. rewrite <- Sum_plus.
  apply (d_sum m (fun u i => dot n (f u i) (h u i))). intros i Hi.
  apply (d_dot n (fun u => f u i) (fun u => h u i)); auto.
Qed.

(* Moving the component j alone. *)
Definition upd (x : vec) (j : nat) (t : R) : vec := fun i => if i =? j then t else x i.

Lemma upd_same x j t i : t = x j -> upd x j t i = x i.
Proof. intros ->. unfold upd. destruct (Nat.eqb_spec i j); congruence. Qed.

Lemma upd_derive x j t i : is_derive (fun u => upd x j u i) t (delta i j).
Proof. unfold upd, delta. destruct (i =? j); [apply d_id|apply d_const]. Qed.

(* The entries of a gradient are the partial derivatives. *)
Lemma grad_partial n F x g j : grad n F x g -> (j < n)%nat -> is_derive (fun t => F (upd x j t)) (x j) (g j).
Proof.
  intros H Hj. eapply d_eq.
  - apply (H (fun t => upd x j t) (fun i => delta i j)).
    + intros. now apply upd_same.
    + intros. apply upd_derive.
  - now apply dot_delta_l.
Qed.

Lemma grad_unique n F x g h j : grad n F x g -> grad n F x h -> (j < n)%nat -> g j = h j.
Proof.
  intros G H Hj. apply (grad_partial _ _ _ _ j) in G, H; auto. rewrite <- (is_derive_unique _ _ _ G).
  now apply is_derive_unique.
Qed.

Lemma grad_eq n F x g h : grad n F x g -> (forall i, (i < n)%nat -> g i = h i) -> grad n F x h.
Proof. intros G E z v t Hz Hv. eapply d_eq; [exact (G z v t Hz Hv)|]. now apply dot_ext. Qed.

(* A cotangent is a factor. *)
Lemma grad_scal n c F x g : grad n F x g -> grad n (fun y => c * F y) x (fun i => c * g i).
Proof. intros G z v t Hz Hv. rewrite dot_scal_l. apply (d_scal (fun u => F (z u))). now apply G. Qed.

Lemma grad2_scal m n c F x g : grad2 m n F x g -> grad2 m n (fun y => c * F y) x (fun i j => c * g i j).
Proof. intros G z v t Hz Hv. rewrite dot2_scal_l. apply (d_scal (fun u => F (z u))). now apply G. Qed.

Lemma grad2_eq m n F x g h :
  grad2 m n F x g -> (forall i j, (i < m)%nat -> (j < n)%nat -> g i j = h i j) -> grad2 m n F x h.
Proof. intros G E z v t Hz Hv. eapply d_eq; [exact (G z v t Hz Hv)|]. now apply dot2_ext. Qed.

(* A sum of functions of rows: each row has its own gradient. *)
Lemma grad2_rows m n (F : nat -> vec -> R) x g :
  (forall i, (i < m)%nat -> grad n (F i) (x i) (g i)) -> grad2 m n (fun y => Sum m (fun i => F i (y i))) x g.
Proof.
  intros G z v t Hz Hv. unfold dot2. apply (d_sum m (fun u i => F i (z u i))). intros i Hi.
  apply (G i Hi (fun u => z u i) (v i)); auto.
Qed.
