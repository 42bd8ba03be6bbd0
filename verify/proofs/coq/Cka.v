(* CKA: range, invariances, gradient, and that collapse is stationary: (K.4), (K.9), (K.11), (S.5). *)
Require Import Reals Lra Lia Arith Psatz.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient Centring.
Open Scope R_scope.

(* The cosine of two matrices. CKA is this of centred (biased) or U-centred (unbiased, debiased) kernel matrices. *)
Definition alignment n (A B : mat) := dot2 n n A B / sqrt (dot2 n n A A * dot2 n n B B).
Definition cka n (K L : mat) := alignment n (centre n K) (centre n L).
Definition ucka n (K L : mat) := alignment n (ucentre n K) (ucentre n L).

Lemma alignment_ext n A B C D : (forall i j, (i < n)%nat -> (j < n)%nat -> A i j = C i j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> B i j = D i j) -> alignment n A B = alignment n C D.
Proof. intros E F. unfold alignment. rewrite (dot2_ext n n A B C D), (dot2_ext n n A A C C), (dot2_ext n n B B D D); auto. Qed.

(* A common divisor of the three HSIC cancels. *)
Theorem cka_divisor h a b c : 0 < c -> 0 < a -> 0 < b -> (h / c) / sqrt (a / c * (b / c)) = h / sqrt (a * b).
Proof.
  intros Hc Ha Hb. assert (Hab : 0 < a * b) by nra. assert (Hs := sqrt_lt_R0 _ Hab).
  replace (a / c * (b / c)) with (a * b * (/ c * / c)) by (field; lra).
  assert (Hi := Rinv_0_lt_compat c Hc). rewrite sqrt_mult, sqrt_square by nra. field. lra.
Qed.

Lemma alignment_square n A B : 0 < dot2 n n A A -> 0 < dot2 n n B B ->
  alignment n A B * alignment n A B * (dot2 n n A A * dot2 n n B B) = dot2 n n A B * dot2 n n A B.
Proof.
  intros Ha Hb. assert (Hab : 0 < dot2 n n A A * dot2 n n B B) by nra. unfold alignment.
  assert (Hs := sqrt_lt_R0 _ Hab). assert (E := sqrt_def _ (Rlt_le _ _ Hab)).
  set (r := sqrt (dot2 n n A A * dot2 n n B B)) in *. rewrite <- E. field. lra.
Qed.

Lemma alignment_range n A B : 0 < dot2 n n A A -> 0 < dot2 n n B B -> -1 <= alignment n A B <= 1.
Proof.
  intros Ha Hb. assert (E := alignment_square n A B Ha Hb). assert (C := Sum_cauchy2 n n A B). rewrite <- E in C.
  assert (Hab : 0 < dot2 n n A A * dot2 n n B B) by nra.
  assert (Q : alignment n A B * alignment n A B <= 1) by (apply (Rmult_le_reg_r (dot2 n n A A * dot2 n n B B)); lra). nra.
Qed.

Theorem cka_range n K L : 0 < dot2 n n (centre n K) (centre n K) -> 0 < dot2 n n (centre n L) (centre n L) ->
  -1 <= cka n K L <= 1.
Proof. apply alignment_range. Qed.

Theorem ucka_range n K L : 0 < dot2 n n (ucentre n K) (ucentre n K) -> 0 < dot2 n n (ucentre n L) (ucentre n L) ->
  -1 <= ucka n K L <= 1.
Proof. apply alignment_range. Qed.

(* Biased CKA of Gram matrices, of features of any width: every positive semi-definite matrix is one. *)
Theorem cka_unit_interval n p q X Y :
  0 < dot2 n n (centre n (gram p X)) (centre n (gram p X)) -> 0 < dot2 n n (centre n (gram q Y)) (centre n (gram q Y)) ->
  0 <= cka n (gram p X) (gram q Y) <= 1.
Proof.
  intros Ha Hb. split; [|now apply alignment_range].
  apply Rdiv_le_0_compat; [apply hsic_nonnegative|]. apply sqrt_lt_R0. nra.
Qed.

Theorem cka_symmetric n K L : cka n K L = cka n L K.
Proof. unfold cka, alignment. rewrite dot2_sym, Rmult_comm. reflexivity. Qed.

Lemma alignment_self n A : 0 < dot2 n n A A -> alignment n A A = 1.
Proof. intros Ha. unfold alignment. rewrite sqrt_square by lra. field. lra. Qed.

Theorem cka_self n K : 0 < dot2 n n (centre n K) (centre n K) -> cka n K K = 1.
Proof. apply alignment_self. Qed.

Theorem ucka_self n K : 0 < dot2 n n (ucentre n K) (ucentre n K) -> ucka n K K = 1.
Proof. apply alignment_self. Qed.

Lemma alignment_scale n c A B : 0 < c -> 0 < dot2 n n A A -> 0 < dot2 n n B B ->
  alignment n (fun i j => c * A i j) B = alignment n A B.
Proof.
  intros Hc Ha Hb. unfold alignment. rewrite !dot2_scal_l, dot2_scal_r. assert (Hab : 0 < dot2 n n A A * dot2 n n B B) by nra.
  replace (c * (c * dot2 n n A A) * dot2 n n B B) with (c * c * (dot2 n n A A * dot2 n n B B)) by ring.
  rewrite sqrt_mult, sqrt_square by nra. assert (Hs := sqrt_lt_R0 _ Hab). field. lra.
Qed.

(* Isotropic scaling of the features. *)
Theorem cka_scaling n p c X L : c <> 0 -> 0 < dot2 n n (centre n (gram p X)) (centre n (gram p X)) ->
  0 < dot2 n n (centre n L) (centre n L) -> cka n (gram p (fun i k => c * X i k)) L = cka n (gram p X) L.
Proof.
  intros Hc Ha Hb. unfold cka. assert (Hcc : 0 < c * c) by nra. rewrite <- (alignment_scale n (c * c) (centre n (gram p X))) by auto.
  apply alignment_ext; auto. intros i j Hi Hj. rewrite <- centre_scal. apply centre_ext; auto. intros k l _ _.
  unfold gram. rewrite dot_scal_l, dot_scal_r. ring.
Qed.

(* A vector added to every row. *)
Theorem cka_translation n p b X L : cka n (gram p (fun i k => X i k + b k)) L = cka n (gram p X) L.
Proof.
  unfold cka. apply alignment_ext; auto. intros i j Hi Hj.
  rewrite <- (centring_annihilates n (gram p X) (fun i => dot p (X i) b) (fun j => dot p b (X j) + dot p b b)) by auto.
  apply centre_ext; auto. intros k l _ _. unfold gram. rewrite (dot_plus_l p (X k)), !dot_plus_r. ring.
Qed.

(* An orthogonal map of the features, Q Q^T = I, also into another width: the Gram matrix stays. *)
Theorem gram_orthogonal p q (Q X : mat) :
  (forall a b, (a < p)%nat -> (b < p)%nat -> dot q (Q a) (Q b) = delta a b) ->
  forall i j, gram q (fun i e => Sum p (fun a => X i a * Q a e)) i j = gram p X i j.
Proof.
  intros HQ i j. unfold gram. rewrite (dot_Sum_l q p (fun a e => X i a * Q a e)). apply Sum_ext. intros a Ha.
  rewrite dot_scal_l. f_equal. rewrite dot_sym, (dot_Sum_l q p (fun b e => X j b * Q b e)).
  rewrite (Sum_ext p _ (fun b => X j b * delta b a)) by (intros; rewrite dot_scal_l, HQ; auto).
  now apply Sum_delta_r.
Qed.

Theorem cka_orthogonal n p q (Q X L : mat) :
  (forall a b, (a < p)%nat -> (b < p)%nat -> dot q (Q a) (Q b) = delta a b) ->
  cka n (gram q (fun i e => Sum p (fun a => X i a * Q a e))) L = cka n (gram p X) L.
Proof. intros HQ. unfold cka. apply alignment_ext; auto. intros. apply centre_ext; auto. intros. now apply gram_orthogonal. Qed.

(* Two samples have one centred direction: the centred matrix of any kernel is a multiple of ((1,-1),(-1,1)). *)
Theorem cka_two_samples K i j : symmetric 2 K -> (i < 2)%nat -> (j < 2)%nat ->
  centre 2 K i j = (K 0%nat 0%nat - 2 * K 0%nat 1%nat + K 1%nat 1%nat) / 4 * (if i =? j then 1 else -1).
Proof.
  intros S Hi Hj. assert (E := S 0%nat 1%nat ltac:(lia) ltac:(lia)).
  destruct i as [|[|i]]; destruct j as [|[|j]]; try lia; unfold centre, total, row, col; simpl; rewrite <- ?E; field.
Qed.

(* The derivative along curves A, B of velocities v, w: <B/r - kappa A/a, v> + <A/r - kappa B/b, w>, r = sqrt(a b). *)
Definition alignment_slope n (A B : mat) : mat :=
  fun i j => B i j / sqrt (dot2 n n A A * dot2 n n B B) - alignment n A B / dot2 n n A A * A i j.

Lemma slope_dot n A B v : dot2 n n (alignment_slope n A B) v =
  dot2 n n B v / sqrt (dot2 n n A A * dot2 n n B B) - alignment n A B / dot2 n n A A * dot2 n n A v.
Proof.
  unfold alignment_slope. set (r := sqrt (dot2 n n A A * dot2 n n B B)).
  rewrite (dot2_minus_l n n (fun i j => B i j / r)), dot2_scal_l. f_equal.
  rewrite (dot2_ext n n (fun i j => B i j / r) v (fun i j => / r * B i j) v) by (auto; intros; unfold Rdiv; ring).
  rewrite dot2_scal_l. unfold Rdiv. ring.
Qed.

Lemma d_alignment n (A B : R -> mat) v w t : 0 < dot2 n n (A t) (A t) -> 0 < dot2 n n (B t) (B t) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => A u i j) t (v i j)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => B u i j) t (w i j)) ->
  is_derive (fun u => alignment n (A u) (B u)) t
    (dot2 n n (alignment_slope n (A t) (B t)) v + dot2 n n (alignment_slope n (B t) (A t)) w).
Proof.
  intros Ha Hb Hv Hw. assert (Hab : 0 < dot2 n n (A t) (A t) * dot2 n n (B t) (B t)) by nra.
  assert (Hs := sqrt_lt_R0 _ Hab). assert (E := sqrt_def _ (Rlt_le _ _ Hab)). unfold alignment. eapply d_eq.
  - apply (d_div (fun u => dot2 n n (A u) (B u)) (fun u => sqrt (dot2 n n (A u) (A u) * dot2 n n (B u) (B u)))); [| |lra].
    + exact (d_dot2 n n A B v w t Hv Hw).
    + apply (d_sqrt (fun u => dot2 n n (A u) (A u) * dot2 n n (B u) (B u))); [|exact Hab].
      apply (d_mult (fun u => dot2 n n (A u) (A u)) (fun u => dot2 n n (B u) (B u))).
      * exact (d_dot2 n n A A v v t Hv Hv).
      * exact (d_dot2 n n B B w w t Hw Hw).
  - cbv beta. rewrite !slope_dot. unfold alignment.
    rewrite (dot2_sym n n v (A t)), (dot2_sym n n w (B t)), (dot2_sym n n v (B t)), (dot2_sym n n (B t) (A t)).
    rewrite (Rmult_comm (dot2 n n (B t) (B t)) (dot2 n n (A t) (A t))).
    set (r := sqrt (dot2 n n (A t) (A t) * dot2 n n (B t) (B t))) in *.
    set (a := dot2 n n (A t) (A t)) in *. set (b := dot2 n n (B t) (B t)) in *. set (h := dot2 n n (A t) (B t)).
    set (x := dot2 n n (B t) v). set (y := dot2 n n (A t) v). set (g := dot2 n n (B t) w). set (k := dot2 n n (A t) w).
    assert (Hr : r <> 0) by lra. assert (Hb' : b = r * r / a) by (rewrite E; field; lra). rewrite Hb'. field. split; lra.
Qed.

(* Centring and U-centring are linear: they turn a curve's velocity into the velocity of what they make of it. *)
Lemma d_row n (z : R -> mat) v t i : (i < n)%nat ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
  is_derive (fun u => row n (z u) i) t (row n v i).
Proof. intros Hi Hv. apply (d_sum n (fun u => z u i) (v i)). auto. Qed.

Lemma d_col n (z : R -> mat) v t j : (j < n)%nat ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
  is_derive (fun u => col n (z u) j) t (col n v j).
Proof. intros Hj Hv. apply (d_sum n (fun u k => z u k j) (fun k => v k j)). auto. Qed.

Lemma d_over (f : R -> R) (t c a : R) : is_derive f t a -> is_derive (fun u => f u / c) t (a / c).
Proof.
  intros D. apply (d_ext (fun u => / c * f u)); [intros; unfold Rdiv; ring|].
  eapply d_eq; [exact (d_scal f t (/ c) a D)|unfold Rdiv; ring].
Qed.

Lemma d_centre n (z : R -> mat) v t :
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
  forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => centre n (z u) i j) t (centre n v i j).
Proof.
  intros Hv i j Hi Hj. unfold centre.
  apply (d_plus (fun u => z u i j - row n (z u) i / INR n - col n (z u) j / INR n) (fun u => total n (z u) / (INR n * INR n))).
  - apply (d_minus (fun u => z u i j - row n (z u) i / INR n) (fun u => col n (z u) j / INR n)).
    + apply (d_minus (fun u => z u i j) (fun u => row n (z u) i / INR n)); [auto|].
      exact (d_over (fun u => row n (z u) i) t _ _ (d_row n z v t i Hi Hv)).
    + exact (d_over (fun u => col n (z u) j) t _ _ (d_col n z v t j Hj Hv)).
  - exact (d_over (fun u => total n (z u)) t _ _ (d_sum2 n n z v t Hv)).
Qed.

Lemma d_ucentre n (z : R -> mat) v t :
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
  forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => ucentre n (z u) i j) t (ucentre n v i j).
Proof.
  intros Hv i j Hi Hj.
  assert (Ht : forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => tilde (z u) i j) t (tilde v i j)).
  { intros k l Hk Hl. unfold tilde. destruct (k =? l); [apply d_const|auto]. }
  unfold ucentre. destruct (i =? j); [apply d_const|]. set (d := (INR n - 1) * (INR n - 2)).
  apply (d_plus (fun u => z u i j - (row n (tilde (z u)) i + col n (tilde (z u)) j) / (INR n - 2))
    (fun u => total n (tilde (z u)) / d)).
  - apply (d_minus (fun u => z u i j) (fun u => (row n (tilde (z u)) i + col n (tilde (z u)) j) / (INR n - 2))); [auto|].
    apply (d_over (fun u => row n (tilde (z u)) i + col n (tilde (z u)) j)).
    apply (d_plus (fun u => row n (tilde (z u)) i) (fun u => col n (tilde (z u)) j)).
    + exact (d_row n (fun u => tilde (z u)) (tilde v) t i Hi Ht).
    + exact (d_col n (fun u => tilde (z u)) (tilde v) t j Hj Ht).
  - exact (d_over (fun u => total n (tilde (z u))) t _ _ (d_sum2 n n (fun u => tilde (z u)) (tilde v) t Ht)).
Qed.

Lemma operator_gradient n (C : mat -> mat) K L :
  (forall A, (forall i j, (i < n)%nat -> (j < n)%nat -> A i j = K i j) ->
    forall i j, (i < n)%nat -> (j < n)%nat -> C A i j = C K i j) ->
  (forall (z : R -> mat) v t, (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => z u i j) t (v i j)) ->
    forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => C (z u) i j) t (C v i j)) ->
  (forall v, dot2 n n (C K) (C v) = dot2 n n (C K) v) -> (forall v, dot2 n n (C L) (C v) = dot2 n n (C L) v) ->
  0 < dot2 n n (C K) (C K) -> 0 < dot2 n n (C L) (C L) ->
  grad2 n n (fun A => alignment n (C A) (C L)) K (alignment_slope n (C K) (C L)).
Proof.
  intros Cext Cder CK CL Ha Hb z v t Hz Hv. assert (Ez := Cext (z t) Hz). eapply d_eq.
  - apply (d_alignment n (fun u => C (z u)) (fun _ => C L) (C v) (fun _ _ => 0) t).
    + rewrite (dot2_ext n n _ _ (C K) (C K)); auto.
    + exact Hb.
    + exact (Cder z v t Hv).
    + intros. apply d_const.
  - rewrite dot2_zero_r, Rplus_0_r, !slope_dot, <- (CK v), <- (CL v). unfold alignment.
    rewrite (dot2_ext n n (C (z t)) (C (z t)) (C K) (C K)) by auto.
    rewrite (dot2_ext n n (C (z t)) (C L) (C K) (C L)) by auto.
    rewrite (dot2_ext n n (C (z t)) (C v) (C K) (C v)) by auto. reflexivity.
Qed.

(* dK = HLH / r - CKA HKH / h_xx *)
Theorem cka_gradient n K L : 0 < dot2 n n (centre n K) (centre n K) -> 0 < dot2 n n (centre n L) (centre n L) ->
  grad2 n n (fun A => cka n A L) K (alignment_slope n (centre n K) (centre n L)).
Proof.
  intros Ha Hb. apply (operator_gradient n (centre n)); auto.
  - intros. now apply centre_ext.
  - apply d_centre.
  - intros. apply centring_one_side.
  - intros. apply centring_one_side.
Qed.

(* The same with U in the place of H . H *)
Theorem ucka_gradient n K L : (3 <= n)%nat -> symmetric n K -> symmetric n L ->
  0 < dot2 n n (ucentre n K) (ucentre n K) -> 0 < dot2 n n (ucentre n L) (ucentre n L) ->
  grad2 n n (fun A => ucka n A L) K (alignment_slope n (ucentre n K) (ucentre n L)).
Proof.
  intros Hn SK SL Ha Hb.
  assert (One : forall M v, symmetric n M -> dot2 n n (ucentre n M) (ucentre n v) = dot2 n n (ucentre n M) v).
  { intros M v SM. rewrite <- ucentring_adjoint. apply dot2_ext; auto. intros. now apply ucentring_idempotent. }
  apply (operator_gradient n (ucentre n)); auto.
  - intros A EA i j Hi Hj. assert (Et : forall k l, (k < n)%nat -> (l < n)%nat -> tilde A k l = tilde K k l)
      by (intros; unfold tilde; rewrite EA; auto).
    unfold ucentre. rewrite (row_ext n (tilde A) (tilde K)), (col_ext n (tilde A) (tilde K)), (total_ext n (tilde A) (tilde K)), EA; auto.
  - apply d_ucentre.
Qed.

(* The gradient is orthogonal to what it moves: scaling changes nothing. *)
Theorem cka_gradient_orthogonal n A B : 0 < dot2 n n A A -> dot2 n n (alignment_slope n A B) A = 0.
Proof. intros Ha. rewrite slope_dot, (dot2_sym n n B A). unfold alignment, Rdiv. set (k := / sqrt _). field. lra. Qed.

(* Exact collapse: where the two matrices coincide, nothing that moves them, together or apart, changes the alignment to first
   order. With centred or U-centred matrices of any representations, heads and experts behind them, this is (S.5). *)
Theorem collapse_stationary n (A B : R -> mat) v w t : 0 < dot2 n n (A t) (A t) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> A t i j = B t i j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => A u i j) t (v i j)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => B u i j) t (w i j)) ->
  is_derive (fun u => alignment n (A u) (B u)) t 0.
Proof.
  intros Ha E Hv Hw.
  assert (Eb : dot2 n n (B t) (B t) = dot2 n n (A t) (A t)) by (apply dot2_ext; intros; symmetry; auto).
  eapply d_eq; [apply (d_alignment n A B v w t Ha); [lra|exact Hv|exact Hw]|].
  rewrite !slope_dot. unfold alignment. rewrite Eb, (dot2_sym n n (B t) (A t)), sqrt_square by lra.
  rewrite (dot2_ext n n (A t) (B t) (A t) (A t)) by (auto; intros; symmetry; auto).
  rewrite (dot2_ext n n (B t) v (A t) v), (dot2_ext n n (B t) w (A t) w) by (auto; intros; symmetry; auto). field. lra.
Qed.

Theorem cka_collapse_stationary n (K L : R -> mat) v w t : 0 < dot2 n n (centre n (K t)) (centre n (K t)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> K t i j = L t i j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => K u i j) t (v i j)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => L u i j) t (w i j)) ->
  is_derive (fun u => cka n (K u) (L u)) t 0.
Proof.
  intros Ha E Hv Hw. apply (collapse_stationary n (fun u => centre n (K u)) (fun u => centre n (L u)) (centre n v) (centre n w) t Ha).
  - intros. now apply centre_ext.
  - now apply d_centre.
  - now apply d_centre.
Qed.

Theorem ucka_collapse_stationary n (K L : R -> mat) v w t : 0 < dot2 n n (ucentre n (K t)) (ucentre n (K t)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> K t i j = L t i j) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => K u i j) t (v i j)) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> is_derive (fun u => L u i j) t (w i j)) ->
  is_derive (fun u => ucka n (K u) (L u)) t 0.
Proof.
  intros Ha E Hv Hw.
  apply (collapse_stationary n (fun u => ucentre n (K u)) (fun u => ucentre n (L u)) (ucentre n v) (ucentre n w) t Ha).
  - intros i j Hi Hj. assert (Et : forall k l, (k < n)%nat -> (l < n)%nat -> tilde (K t) k l = tilde (L t) k l)
      by (intros; unfold tilde; rewrite E; auto).
    unfold ucentre. rewrite (row_ext n _ _ i Hi Et), (col_ext n _ _ j Hj Et), (total_ext n _ _ Et), E by auto. reflexivity.
  - exact (d_ucentre n K v t Hv).
  - exact (d_ucentre n L w t Hw).
Qed.

(* The RBF kernel of one pair, with the variance s: in the distance, and in the bandwidth. *)
Theorem rbf_distance_derivative D s : s <> 0 -> is_derive (fun d => exp (- (d / (2 * s)))) D (- (exp (- (D / (2 * s))) / (2 * s))).
Proof.
  intros Hs. eapply d_eq.
  - apply (d_exp (fun d => - (d / (2 * s)))). apply (d_opp (fun d => d / (2 * s))). exact (d_over (fun d => d) D (2 * s) 1 (d_id D)).
  - field. auto.
Qed.

Theorem rbf_bandwidth_derivative D s : s <> 0 ->
  is_derive (fun r => exp (- (D / (2 * r)))) s (exp (- (D / (2 * s))) * (D / (2 * (s * s)))).
Proof.
  intros Hs. eapply d_eq.
  - apply (d_exp (fun r => - (D / (2 * r)))). apply (d_opp (fun r => D / (2 * r))).
    apply (d_div (fun _ => D) (fun r => 2 * r)); [apply d_const|exact (d_scal (fun r => r) s 2 1 (d_id s))|lra].
  - cbv beta. field. auto.
Qed.

(* Taking one off a kernel, or adding any constant, changes nothing that is centred. *)
Theorem cka_constant n K L c : cka n (fun i j => K i j + c) L = cka n K L.
Proof.
  unfold cka. apply alignment_ext; auto. intros i j Hi Hj.
  rewrite <- (centring_annihilates n K (fun _ => c) (fun _ => 0)) by auto. apply centre_ext; auto. intros. ring.
Qed.
